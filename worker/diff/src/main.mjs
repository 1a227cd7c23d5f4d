// Diffs two published versions of an npm package: one JSON request on stdin, one JSON answer on
// stdout, in the words of worker/change.py:
//   {package, from, to, registry, token, limits}
//   {from: {...}, to: {...}, files: [...], diff, truncated, stats, node}
//   {error: {code, message, retry}}
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { compare } from "./compare.mjs";
import { survey } from "./contents.mjs";
import { about, Refusal } from "./error.mjs";
import { fetchBoth } from "./registry.mjs";
import { readRequest } from "./request.mjs";

async function answer(text) {
  const request = readRequest(text);
  const [from, to] = await fetchBoth(request);
  for (const one of [from, to]) {
    const subject = `${request.from.name} ${one.version}`;
    Object.assign(one, await about(subject, () => survey(one.tarball, request.limits)));
  }
  const { stats, ...change } = await compare(from, to, request.limits);
  const sizes = { files_from: from.files.size, files_to: to.files.size };
  return {
    from: described(from),
    to: described(to),
    ...change,
    stats: { ...sizes, ...stats },
    node: process.version,
  };
}

const described = ({ tarball, files, bytes, ...one }) => ({
  ...one,
  tarball_bytes: tarball.reduce((sum, chunk) => sum + chunk.length, 0),
  unpacked_bytes: bytes,
});

function end(result) {
  const exit = () => process.exit(result.error ? 1 : 0); // whatever a connection still waits for
  process.stdout.write(`${JSON.stringify(result)}\n`, exit);
}

function fail(error) {
  if (error instanceof Refusal) {
    const { code, message, retry } = error;
    return end({ error: { code, message, retry } });
  }
  // A fault of this program. Without the message: a library's may hold an address.
  const frames = String(error?.stack).split("\n").filter((line) => /^ {4}at /.test(line));
  process.stderr.write(`${error?.name} ${error?.code ?? ""}\n${frames.slice(0, 5).join("\n")}\n`);
  process.exit(70);
}

// pacote asks for the home folder, which a user without a passwd entry has not; it uses none.
process.env.HOME = tmpdir();
process.on("uncaughtException", fail);
answer(readFileSync(0, "utf8")).then(end, fail);
