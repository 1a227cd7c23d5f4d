// Reads an npm tarball (gzip, tar) into memory: a Map from path to content. Nothing is written to
// disk, no link is followed: links, devices and folders are counted and left out.
import { readFileSync, statSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Refusal } from "./refusal.mjs";

const BLOCK = 512;
const MAX_PATH = 4096; // bytes, as in Linux

export function readTarball(path, limits) {
  const tar = unpack(path, limits.maxUnpackedBytes);
  const files = new Map();
  let ignored = 0;
  let entries = 0;
  let next = {}; // what a pax or GNU header says of the entry after it
  for (const entry of headers(tar)) {
    if (++entries > limits.maxFiles * 2) tooManyFiles(limits); // each file may have one such header
    const isHeader = "xgLK".includes(entry.type);
    const isFolder = entry.type === "5"; // some tars give it a size; it has no content all the same
    const body = isFolder ? 0 : isHeader ? entry.size : (next.size ?? entry.size);
    const content = slice(tar, entry.start, body);
    entry.skip(body);
    if (entry.type === "x") next = { ...next, ...pax(content) };
    else if (entry.type === "L") next.path = text(untilNul(content));
    else if (entry.type === "g" || entry.type === "K") continue;
    else {
      if (entry.type === "0" || entry.type === "\0" || entry.type === "7") {
        // a later entry of the same name replaces the earlier, as it does when npm unpacks
        files.set(inside(next.path ?? entry.path()), content);
        if (files.size > limits.maxFiles) tooManyFiles(limits);
      } else ignored++;
      next = {};
    }
  }
  return { files, ignored, bytes: tar.length };
}

function tooManyFiles(limits) {
  throw new Refusal("too_many_files", `more than ${limits.maxFiles} files in a tarball`);
}

function unpack(path, limit) {
  let packed;
  try {
    // deflate makes nothing much longer: what is larger packed is larger unpacked
    if (statSync(path).size > limit + 65536) throw tooLarge(limit);
    packed = readFileSync(path);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("unreadable", `a tarball cannot be read: ${error.code ?? error.name}`);
  }
  try {
    return gunzipSync(packed, { maxOutputLength: limit });
  } catch (error) {
    if (error.code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limit);
    throw new Refusal("bad_gzip", `a tarball is no whole gzip file: ${error.message}`);
  }
}

const tooLarge = (limit) =>
  new Refusal("too_large", `a tarball unpacks to more than ${limit} bytes`);

// Yields each header; its reader calls skip(size), because a pax header may correct the size.
function* headers(tar) {
  let at = 0;
  let blank = 0;
  while (at + BLOCK <= tar.length && blank < 2) {
    const head = tar.subarray(at, at + BLOCK);
    at += BLOCK;
    if (head.every((byte) => byte === 0)) {
      blank++;
      continue;
    }
    blank = 0;
    checkSum(head);
    yield {
      type: String.fromCharCode(head[156]),
      size: number(head.subarray(124, 136)),
      start: at,
      path: () => headerPath(head),
      skip: (size) => (at += Math.ceil(size / BLOCK) * BLOCK),
    };
  }
  if (at < tar.length && tar.length - at < BLOCK && blank === 0) broken("it ends inside a header");
}

function checkSum(head) {
  let sum = 8 * 32; // the sum's own field counts as spaces
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += head[i];
  if (sum !== number(head.subarray(148, 156))) broken("a header's checksum is wrong");
}

function number(field) {
  let value = 0;
  if (field[0] & 0x80) {
    // base 256, for sizes beyond 8 GiB
    value = field[0] & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
  } else {
    const digits = field.toString("latin1").replace(/\0.*$/s, "").trim();
    if (!/^[0-7]*$/.test(digits)) broken("a number in a header is not octal");
    value = digits === "" ? 0 : parseInt(digits, 8);
  }
  return value;
}

function headerPath(head) {
  const name = text(untilNul(head.subarray(0, 100)));
  // only POSIX ustar has a prefix there; GNU's magic is "ustar " and keeps times in its place
  const posix = head.subarray(257, 263).toString("latin1") === "ustar\0";
  const prefix = posix ? text(untilNul(head.subarray(345, 500))) : "";
  return prefix ? `${prefix}/${name}` : name;
}

// A pax body is records of "length key=value\n", the length in bytes and counting itself.
function pax(body) {
  const found = {};
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(32, at);
    const length = Number(body.toString("latin1", at, Math.max(at, space)));
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > body.length) {
      broken("a pax header is broken");
    }
    const record = body.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(61);
    const key = record.toString("latin1", 0, Math.max(0, equals));
    const value = record.subarray(equals + 1);
    if (key === "path") found.path = text(value);
    if (key === "size") found.size = octets(value.toString("latin1"));
    at += length;
  }
  return found;
}

function octets(digits) {
  if (!/^[0-9]{1,15}$/.test(digits)) broken("a pax size is no number");
  return Number(digits);
}

function slice(tar, start, size) {
  if (start + size > tar.length) broken("it ends inside a file");
  return tar.subarray(start, start + size);
}

function untilNul(field) {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

// Names must be UTF-8: any other reading could let two names look like one.
function text(bytes) {
  if (bytes.length > MAX_PATH) throw new Refusal("unsafe_path", `a name exceeds ${MAX_PATH} bytes`);
  const decoded = bytes.toString("utf8");
  if (!Buffer.from(decoded, "utf8").equals(bytes)) {
    throw new Refusal("unsafe_path", "a name is not UTF-8");
  }
  return decoded;
}

// Strips the first folder, "package/" by custom, as npm does whatever it is called.
function inside(path) {
  const shown = JSON.stringify(path.slice(0, 200));
  if (path.startsWith("/") || path.includes("\0") || path.includes("\\")) {
    throw new Refusal("unsafe_path", `a name is absolute or has a backslash: ${shown}`);
  }
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new Refusal("unsafe_path", `a name leaves the package: ${shown}`);
  if (parts.length < 2) throw new Refusal("unsafe_path", `a file is in no folder: ${shown}`);
  return parts.slice(1).join("/");
}

function broken(what) {
  throw new Refusal("bad_tar", `a tarball is broken: ${what}`);
}
