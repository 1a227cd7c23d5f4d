// Contents of a tarball, read in two passes: digests of all files, then details of some.
import { createHash } from "node:crypto";
import { DiffError } from "./error.mjs";
import { HEAD_BYTES, hasLines, kindOf } from "./file-kind.mjs";
import { files } from "./tar.mjs";
import { wellFormed } from "./well-formed.mjs";

const MAX_MANIFEST_BYTES = 1024 * 1024;
const LINE_FEED = 10;

// Reads the whole tarball. Returns the unpacked bytes, package.json, and the size, mode and digest
// of each file by path, in the tarball's order.
export async function readDigests(tarball, limits) {
  const digests = new Map();
  let manifest = null;
  let unpackedBytes = 0;
  for await (const { path, mode, size, chunks } of files(tarball, limits)) {
    const hash = createHash("sha256");
    const manifestChunks = path === "package.json" && size <= MAX_MANIFEST_BYTES ? [] : null;
    for await (const chunk of chunks) {
      hash.update(chunk);
      manifestChunks?.push(chunk);
    }
    if (manifestChunks) manifest = parseManifest(Buffer.concat(manifestChunks));
    unpackedBytes += size;
    digests.set(path, { size, mode, digest: hash.digest("base64") });
  }
  if (manifest === null) throw badManifest("is missing or too large");
  return { files: digests, manifest, unpackedBytes };
}

// Reads the files at `paths` again. Returns, by path, the kind, whether it is compared by lines, the
// number of lines and the longest line, and the text of those that are also in `textPaths`.
export async function readDetails(tarball, limits, paths, textPaths) {
  const details = new Map();
  for await (const { path, chunks } of files(tarball, limits)) {
    if (!paths.has(path)) continue;
    const content = [];
    let head = Buffer.alloc(0);
    const counter = new LineCounter();
    for await (const chunk of chunks) {
      const missing = HEAD_BYTES - head.length;
      if (missing > 0) head = Buffer.concat([head, chunk.subarray(0, missing)]);
      counter.add(chunk);
      if (textPaths.has(path)) content.push(chunk);
    }
    const kind = kindOf(head);
    const readable = hasLines(kind, path, head);
    const text = textPaths.has(path) && readable ? Buffer.concat(content) : null;
    details.set(path, { kind, readable, lines: counter.lines, longestLine: counter.longest, text });
  }
  return details;
}

// Counts the line feeds, and the characters of the longest line. A UTF-8 continuation byte
// (0b10xxxxxx) belongs to the character before it.
class LineCounter {
  lines = 0;
  longest = 0;
  #length = 0;

  add(chunk) {
    let length = this.#length;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === LINE_FEED) {
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
    throw badManifest("is not a JSON object");
  }
  return manifest;
}

const badManifest = (reason) => new DiffError("bad_manifest", `package.json ${reason}`);
