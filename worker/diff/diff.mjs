// Diffs two local npm tarballs. One JSON request on stdin, one JSON result on stdout:
//   {"from": "/path/a.tgz", "to": "/path/b.tgz", "limits": {...}}
//   {"files": [{path, status, added, removed, note?}], "diff": "...", "truncated": false,
//    "stats": {...}, "node": "v18..."}
// or {"error": {"code", "message"}} and exit status 1.
import { readFileSync } from "node:fs";
import { comparePackages } from "./compare.mjs";
import { Refusal } from "./refusal.mjs";
import { readTarball } from "./tar.mjs";

const LIMITS = {
  maxUnpackedBytes: 64 * 1024 * 1024, // of each tarball
  maxFiles: 20_000, // in each tarball
  maxDiffBytes: 1024 * 1024, // of the diff's text; longer is cut
};

function readRequest() {
  let request;
  try {
    request = JSON.parse(readFileSync(0, "utf8"));
  } catch {
    throw new Refusal("bad_request", "the request is not JSON");
  }
  if (typeof request?.from !== "string" || typeof request?.to !== "string") {
    throw new Refusal("bad_request", "the request must name two files, from and to");
  }
  for (const [name, value] of Object.entries(request.limits ?? {})) {
    if (!Object.hasOwn(LIMITS, name) || !Number.isSafeInteger(value) || value < 1) {
      throw new Refusal("bad_request", `limits.${name} must be a known limit and above 0`);
    }
  }
  return { from: request.from, to: request.to, limits: { ...LIMITS, ...request.limits } };
}

function answer({ from, to, limits }) {
  const before = readTarball(from, limits);
  const after = readTarball(to, limits);
  const result = comparePackages(before.files, after.files, limits.maxDiffBytes);
  const sum = (key) => result.files.reduce((total, file) => total + file[key], 0);
  const stats = {
    files_from: before.files.size,
    files_to: after.files.size,
    unpacked_from: before.bytes,
    unpacked_to: after.bytes,
    ignored_from: before.ignored,
    ignored_to: after.ignored,
    lines_added: sum("added"),
    lines_removed: sum("removed"),
  };
  return { ...result, stats, node: process.version };
}

let result;
try {
  result = answer(readRequest());
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  result = { error: { code: error.code, message: error.message } };
  process.exitCode = 1;
}
process.stdout.write(`${JSON.stringify(result)}\n`);
