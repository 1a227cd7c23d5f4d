// Runs the diff program, as it is bundled, for one request after the other, in one process: a start
// of Node takes longer than most requests. Its modules are made anew for each; what it takes from
// `process` and reads from stdin is its own. One line a request, and one an answer:
//   "text on stdin"
//   [exit status, "text on stdout", "text on stderr"]
const fs = require("node:fs");
const { createInterface } = require("node:readline");
const { compileFunction } = require("node:vm");

const program = process.argv[2];
const names = ["exports", "require", "module", "__filename", "__dirname", "process"];
const start = compileFunction(fs.readFileSync(program, "utf8"), names, { filename: program });

function run(request) {
  return new Promise((resolve) => {
    const said = { out: "", err: "" };
    const into = (name) => ({
      value: {
        write(text, done = () => {}) {
          said[name] += text;
          setImmediate(done);
        },
      },
    });
    const readFileSync = (file, ...how) => (file === 0 ? request : fs.readFileSync(file, ...how));
    const own = Object.create(process, {
      stdout: into("out"),
      stderr: into("err"),
      exit: { value: (status) => resolve([status, said.out, said.err]) },
      on: { value: () => own },
    });
    const needs = (name) => (name === "node:fs" ? { ...fs, readFileSync } : require(name));
    const module = { exports: {} };
    start(module.exports, needs, module, program, "", own);
  });
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
  }
  process.exit(); // whatever a connection still waits for
})();
