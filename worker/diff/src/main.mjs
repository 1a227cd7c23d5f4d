// Diffs two published versions of an npm package: one JSON request on stdin, one JSON answer on
// stdout. The fields of versions and files are those of worker/change.py:
//   {package, from, to, registry, token, hosts, limits}
//   {from: {...}, to: {...}, files: [...], diff, truncated, stats, node_version}
//   {error: {code, message, detail}}
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { compare } from "./compare.mjs";
import { readDigests } from "./contents.mjs";
import { DiffError, withSubject } from "./error.mjs";
import { fetchBoth } from "./registry.mjs";
import { readRequest } from "./request.mjs";

const EXIT_OUT_OF_MEMORY = 71; // worker/child.py

async function answer(text) {
  const request = readRequest(text);
  const [from, to] = await fetchBoth(request);
  for (const version of [from, to]) {
    const subject = `${request.from.name} ${version.version}`;
    const read = () => readDigests(version.tarball, request.limits);
    Object.assign(version, await withSubject(subject, read));
  }
  const { stats, ...change } = await compare(from, to, request.limits);
  const counts = { files_from: from.files.size, files_to: to.files.size };
  return {
    from: describe(from),
    to: describe(to),
    ...change,
    stats: { ...counts, ...stats },
    node_version: process.version,
  };
}

const describe = ({ tarball, files, unpackedBytes, ...version }) => ({
  ...version,
  tarball_bytes: tarball.reduce((sum, chunk) => sum + chunk.length, 0),
  unpacked_bytes: unpackedBytes,
});

function finish(result) {
  const exit = () => process.exit(result.error ? 1 : 0); // without waiting for open connections
  process.stdout.write(`${JSON.stringify(result)}\n`, exit);
}

// A buffer, a text or zlib's tables that cannot be allocated. V8 itself aborts the process.
const isOutOfMemory = (error) =>
  (error instanceof RangeError && /allocation failed|Invalid \w+ length/.test(error.message)) ||
  ["ERR_STRING_TOO_LONG", "ERR_MEMORY_ALLOCATION_FAILED", "Z_MEM_ERROR"].includes(error?.code);

function fail(error) {
  if (error instanceof DiffError) {
    const { code, message, detail } = error;
    return finish({ error: { code, message, detail } });
  }
  if (isOutOfMemory(error)) process.exit(EXIT_OUT_OF_MEMORY);
  // A bug in this program. The message is left out: a library's may contain an address.
  const frames = String(error?.stack).split("\n").filter((line) => /^ {4}at /.test(line));
  process.stderr.write(`${error?.name} ${error?.code ?? ""}\n${frames.slice(0, 5).join("\n")}\n`);
  process.exit(70);
}

// pacote looks up the home folder, which a user without a passwd entry lacks, but does not use it.
process.env.HOME = tmpdir();
process.on("uncaughtException", fail);
answer(readFileSync(0, "utf8")).then(finish, fail);
