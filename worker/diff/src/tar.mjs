// Reads an npm tarball (gzip, tar) as a stream of its files. Nothing is written to disk and no link
// is followed. It is strict: what npm's reader and others could read in two ways is refused, so
// that no file can be hidden from the review.
import { BLOCK, broken, decodeHeader, decodeName, decodePax, isBlank } from "./tar-header.mjs";
import { Refusal } from "./error.mjs";
import { Unpacked } from "./gunzip.mjs";

const META_BYTES = 1024 * 1024; // of a pax header or long name; npm's reader skips larger ones
const NAMES_BYTES = 4 * 1024 * 1024; // of all names together

// Yields {path, mode, size, parts} of each file, `parts` an async iterable of its bytes; what its
// reader leaves of them is skipped.
export async function* files(tarball, limits) {
  const tar = new Unpacked(tarball, limits.unpackedBytes);
  const names = new Names(limits.files);
  for await (const { type, path, mode, size, link } of entries(tar, limits.files)) {
    // some tars give a folder a size; it has no content all the same
    if (type === "5" || (path.endsWith("/") && size === 0)) {
      inside(path);
      continue;
    }
    // npm's reader takes what follows such a header for more headers
    if (link || path.endsWith("/")) throw broken("a file has the header of a link or a folder");
    const name = names.add(inside(path));
    const parts = content(tar, size);
    yield { path: name, mode, size, parts };
    for await (const _ of parts);
  }
}

// Yields the header of each entry, with what pax and long-name headers before it say.
async function* entries(tar, maxFiles) {
  let stated = {};
  for (let count = 0; ; count++) {
    if (count > 4 * maxFiles) throw tooMany(maxFiles); // folders, and headers before each file
    const header = await nextHeader(tar);
    if (header === null) return;
    if ("xgL".includes(header.type)) {
      stated = { ...stated, ...(await metadata(tar, header)) };
    } else if ("057".includes(header.type)) {
      yield { ...header, ...stated };
      stated = {};
    } else {
      const what = JSON.stringify((stated.path ?? header.path).slice(0, 200));
      throw new Refusal("unsafe_entry", `${what} is ${KINDS[header.type] ?? "no file"}`);
    }
  }
}

const KINDS = { 1: "a hard link", 2: "a symbolic link", 3: "a device", 4: "a device", 6: "a pipe" };

async function nextHeader(tar) {
  for (let blank = 0; blank < 2; blank++) {
    const block = await tar.exactly(BLOCK);
    if (block.length === 0) return null;
    if (block.length < BLOCK) throw broken("it ends inside a header");
    if (!isBlank(block)) return decodeHeader(block);
  }
  for (let rest; (rest = await tar.some(BLOCK)) !== null; ) {
    if (!isBlank(rest)) throw broken("it goes on after its end"); // for some readers it would
  }
  return null;
}

async function metadata(tar, { type, size }) {
  if (size > META_BYTES) throw broken(`a pax header has more than ${META_BYTES} bytes`);
  const parts = [];
  for await (const part of content(tar, size)) parts.push(part);
  const body = Buffer.concat(parts);
  return type === "L" ? { path: decodeName(body) } : decodePax(body, type === "g");
}

async function* content(tar, size) {
  for (let left = size; left > 0; ) {
    const part = await tar.some(left);
    if (part === null) throw broken("it ends inside a file");
    left -= part.length;
    yield part;
  }
  const padding = (BLOCK - (size % BLOCK)) % BLOCK;
  if ((await tar.exactly(padding)).length < padding) throw broken("it ends inside a file");
}

// Returns the path without its first folder, "package/" by custom, as npm does whatever it is.
function inside(path) {
  const shown = JSON.stringify(path.slice(0, 200));
  const refuse = (why) => new Refusal("unsafe_path", `the name ${shown} ${why}`);
  if (path.startsWith("/")) throw refuse("is absolute");
  if (path.includes("\\")) throw refuse("has a backslash");
  if (/\p{Cc}/u.test(path)) throw refuse("has a control character");
  const [, ...rest] = path.replace(/\/$/, "").split("/");
  if (path.split("/").includes("..")) throw refuse("leaves the package");
  if (rest.includes("") || rest.includes(".")) throw refuse("has an empty part");
  return rest.join("/");
}

// The names of the files so far, each of them once.
class Names {
  #seen = new Set();
  #bytes = 0;

  constructor(most) {
    this.most = most;
  }

  add(name) {
    if (name === "") throw new Refusal("unsafe_path", "a file is in no folder");
    if (this.#seen.has(name)) {
      throw broken(`two files have the name ${JSON.stringify(name.slice(0, 200))}`);
    }
    this.#seen.add(name);
    this.#bytes += Buffer.byteLength(name, "utf8");
    if (this.#seen.size > this.most) throw tooMany(this.most);
    if (this.#bytes > NAMES_BYTES) {
      throw new Refusal("too_large", `the names of its files have more than ${NAMES_BYTES} bytes`);
    }
    return name;
  }
}

const tooMany = (most) => new Refusal("too_large", `the tarball has more than ${most} files`);
