// Strict streaming reader for npm tarballs (gzip, tar). It writes nothing to disk and follows no
// link. It refuses any input that readers (npm's among them) could read in two ways, so that no
// file can be hidden from the review.
import { DiffError } from "./error.mjs";
import { Gunzip } from "./gunzip.mjs";
import {
  BLOCK_BYTES,
  badTar,
  decodeHeader,
  decodeName,
  decodePax,
  isBlank,
} from "./tar-header.mjs";

const MAX_META_BYTES = 1024 * 1024; // of a pax header or long name; npm's reader skips larger ones
const MAX_NAMES_BYTES = 4 * 1024 * 1024; // of all names together

// Yields {path, mode, size, chunks} of each file; `chunks` is an async iterable of its content.
// Chunks that the caller does not read are skipped.
export async function* files(tarball, limits) {
  const tar = new Gunzip(tarball, limits.unpackedBytes);
  const names = new FileNames(limits.files);
  for await (const { type, path, mode, size, link } of entries(tar, limits.files)) {
    // some tars give a folder a size, but it has no content
    if (type === "5" || (path.endsWith("/") && size === 0)) {
      pathInPackage(path); // throws if the path is unsafe
      continue;
    }
    // npm's reader would take the content after such a header for headers
    if (link || path.endsWith("/")) throw badTar("a file has the header of a link or a folder");
    const name = names.add(pathInPackage(path));
    const chunks = content(tar, size);
    yield { path: name, mode, size, chunks };
    for await (const _ of chunks); // skips the rest
  }
}

// Yields the header of each entry, merged with the pax and long-name headers before it.
async function* entries(tar, maxFiles) {
  let overrides = {};
  for (let count = 0; ; count++) {
    // Folders, and headers before files, are entries too.
    if (count > 4 * maxFiles) throw tooManyFiles(maxFiles);
    const header = await nextHeader(tar);
    if (header === null) return;
    // pax, global pax, GNU long name; then file, folder, contiguous file
    if ("xgL".includes(header.type)) {
      overrides = { ...overrides, ...(await metadata(tar, header)) };
    } else if ("057".includes(header.type)) {
      yield { ...header, ...overrides };
      overrides = {};
    } else {
      const name = JSON.stringify((overrides.path ?? header.path).slice(0, 200));
      const kind = KINDS[header.type] ?? "not a regular file";
      throw new DiffError("unsafe_entry", `${name} is ${kind}`);
    }
  }
}

const KINDS = { 1: "a hard link", 2: "a symbolic link", 3: "a device", 4: "a device", 6: "a pipe" };

async function nextHeader(tar) {
  for (let blank = 0; blank < 2; blank++) {
    const block = await tar.exactly(BLOCK_BYTES);
    if (block.length === 0) return null;
    if (block.length < BLOCK_BYTES) throw badTar("it ends inside a header");
    if (!isBlank(block)) return decodeHeader(block);
  }
  for (let rest; (rest = await tar.atMost(BLOCK_BYTES)) !== null; ) {
    if (!isBlank(rest)) throw badTar("it has data after its end"); // some readers would read it
  }
  return null;
}

async function metadata(tar, { type, size }) {
  if (size > MAX_META_BYTES) throw badTar(`a pax header has more than ${MAX_META_BYTES} bytes`);
  const chunks = [];
  for await (const chunk of content(tar, size)) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return type === "L" ? { path: decodeName(body) } : decodePax(body, type === "g");
}

async function* content(tar, size) {
  for (let remaining = size; remaining > 0; ) {
    const chunk = await tar.atMost(remaining);
    if (chunk === null) throw badTar("it ends inside a file");
    remaining -= chunk.length;
    yield chunk;
  }
  const padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
  if ((await tar.exactly(padding)).length < padding) throw badTar("it ends inside a file");
}

// Returns the path without its first folder. That is usually "package/", but npm accepts any name.
function pathInPackage(path) {
  const shown = JSON.stringify(path.slice(0, 200));
  const refuse = (reason) => new DiffError("unsafe_path", `the name ${shown} ${reason}`);
  if (path.startsWith("/")) throw refuse("is absolute");
  if (path.includes("\\")) throw refuse("contains a backslash");
  if (/\p{Cc}/u.test(path)) throw refuse("contains a control character");
  const [, ...rest] = path.replace(/\/$/, "").split("/");
  if (path.split("/").includes("..")) throw refuse("leaves the package");
  if (rest.includes("") || rest.includes(".")) throw refuse("contains an empty part");
  return rest.join("/");
}

// The names of the files so far. Each may occur once.
class FileNames {
  #names = new Set();
  #bytes = 0;

  constructor(maxFiles) {
    this.maxFiles = maxFiles;
  }

  add(name) {
    if (name === "") throw new DiffError("unsafe_path", "a file is not inside a folder");
    if (this.#names.has(name)) {
      throw badTar(`two files have the name ${JSON.stringify(name.slice(0, 200))}`);
    }
    this.#names.add(name);
    this.#bytes += Buffer.byteLength(name, "utf8");
    if (this.#names.size > this.maxFiles) throw tooManyFiles(this.maxFiles);
    if (this.#bytes > MAX_NAMES_BYTES) {
      const message = `the names of its files have more than ${MAX_NAMES_BYTES} bytes`;
      throw new DiffError("too_large", message);
    }
    return name;
  }
}

const tooManyFiles = (maxFiles) =>
  new DiffError("too_large", `the tarball has more than ${maxFiles} files`);
