// What is in a tarball: first of every file what tells it from another, then more of some.
import { createHash } from "node:crypto";
import { HEAD, hasLines, kindOf } from "./file-kind.mjs";
import { Refusal } from "./error.mjs";
import { files } from "./tar.mjs";
import { wellFormed } from "./well-formed.mjs";

const MANIFEST_BYTES = 1024 * 1024;

// Reads the whole tarball; returns the unpacked bytes, package.json, and of each file, by path and
// in the tarball's order, its size, mode and digest.
export async function survey(tarball, limits) {
  const found = new Map();
  let manifest = null;
  let bytes = 0;
  for await (const { path, mode, size, parts } of files(tarball, limits)) {
    const hash = createHash("sha256");
    const kept = path === "package.json" && size <= MANIFEST_BYTES ? [] : null;
    for await (const part of parts) {
      hash.update(part);
      kept?.push(part);
    }
    if (kept) manifest = parseManifest(Buffer.concat(kept));
    bytes += size;
    found.set(path, { size, mode, digest: hash.digest("base64") });
  }
  if (manifest === null) throw badManifest("is not there, or too large");
  return { files: found, manifest, bytes };
}

// Reads the `wanted` files once more; returns of each its kind, how many lines it has and how long
// the longest is, and of those with a path in `kept` the text.
export async function look(tarball, limits, wanted, kept) {
  const paths = new Set(wanted.map(({ path }) => path));
  const found = new Map();
  for await (const { path, parts } of files(tarball, limits)) {
    if (!paths.has(path)) continue;
    const content = [];
    let head = Buffer.alloc(0);
    const measure = new LineMeasure();
    for await (const part of parts) {
      if (head.length < HEAD) head = Buffer.concat([head, part.subarray(0, HEAD - head.length)]);
      measure.add(part);
      if (kept.has(path)) content.push(part);
    }
    const kind = kindOf(head);
    const text = kept.has(path) && hasLines(kind, path) ? Buffer.concat(content) : null;
    found.set(path, { kind, lines: measure.lines, longest: measure.longest, text });
  }
  return found;
}

// Counts lines, and the characters of the longest: bytes but those that go on with a character.
class LineMeasure {
  lines = 0;
  longest = 0;
  #length = 0;

  add(part) {
    let length = this.#length;
    for (let i = 0; i < part.length; i++) {
      const byte = part[i];
      if (byte === 10) {
        this.lines++;
        length = 0;
      } else if ((byte & 0xc0) !== 0x80 && ++length > this.longest) {
        this.longest = length;
      }
    }
    this.#length = length;
  }
}

function parseManifest(content) {
  let manifest;
  try {
    manifest = wellFormed(JSON.parse(content.toString("utf8").replace(/^\ufeff/, "")));
  } catch {
    throw badManifest("is not JSON, or nested too deep");
  }
  if (typeof manifest !== "object" || manifest === null || Array.isArray(manifest)) {
    throw badManifest("is no JSON object");
  }
  return manifest;
}

const badManifest = (what) => new Refusal("bad_manifest", `package.json ${what}`);
