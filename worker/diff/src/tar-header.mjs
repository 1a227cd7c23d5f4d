// Decoder for tar headers, and for the pax records and GNU long names before them.
import { DiffError } from "./error.mjs";

export const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 1024;

// Records that do not change where a file's content is; vendors' own keys contain a dot.
const HARMLESS = /^(atime|charset|comment|ctime|gid|gname|hdrcharset|mtime|uid|uname|.+\..+)$/;
const SPARSE = /^GNU\.sparse\./;

export const isBlank = (block) => block.every((byte) => byte === 0);

export function decodeHeader(block) {
  verifyChecksum(block);
  return {
    type: String.fromCharCode(block[156] || 48), // 0 in old tars: a file
    path: path(block),
    mode: number(block.subarray(100, 108)) & 0o7777,
    size: number(block.subarray(124, 136)),
    link: untilNul(block.subarray(157, 257)).length > 0,
  };
}

function verifyChecksum(block) {
  let sum = 8 * 32; // the checksum's own field counts as spaces
  for (let i = 0; i < BLOCK_BYTES; i++) if (i < 148 || i >= 156) sum += block[i];
  if (sum !== number(block.subarray(148, 156))) throw badTar("a header's checksum is wrong");
}

function number(field) {
  const [, digits] = /^ *([0-7]*) *(\0|$)/.exec(field.toString("latin1")) ?? [];
  if (digits === undefined) throw badTar("a number in a header is not octal"); // or above 8 GiB
  return digits === "" ? 0 : parseInt(digits, 8);
}

function path(block) {
  const name = decodeName(block.subarray(0, 100));
  // Only POSIX ustar has a prefix. GNU tar ("ustar ") stores times in its place.
  const posix = block.toString("latin1", 257, 265) === "ustar\x0000";
  const prefix = posix ? decodeName(block.subarray(345, 500)) : "";
  return prefix ? `${prefix}/${name}` : name;
}

// Names must be UTF-8: otherwise two different names could look the same.
export function decodeName(field) {
  const bytes = untilNul(field);
  if (bytes.length > MAX_NAME_BYTES) {
    throw new DiffError("unsafe_path", `a name has more than ${MAX_NAME_BYTES} bytes`);
  }
  const name = bytes.toString("utf8");
  if (!Buffer.from(name, "utf8").equals(bytes)) {
    throw new DiffError("unsafe_path", "a name is not UTF-8");
  }
  return name;
}

function untilNul(field) {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

// Returns the path and size in a pax body: records of "length key=value\n", with the length in
// bytes, itself included. Refuses bodies that npm's reader would read differently: they could hide
// a file from one of the two readers.
export function decodePax(body, isGlobal) {
  const overrides = {};
  for (let at = 0; at < body.length; ) {
    const digits = /^[1-9][0-9]{0,6}(?= )/.exec(body.toString("latin1", at, at + 8))?.[0] ?? "0";
    const record = body.subarray(at, at + Number(digits));
    const [key, value] = keyAndValue(record.subarray(digits.length + 1));
    if (record.length < Number(digits)) throw badTar("a pax header is invalid"); // it ends early
    const isAllowed = !isGlobal && (key === "path" || key === "size");
    if (!isAllowed && (!HARMLESS.test(key) || SPARSE.test(key))) {
      throw badTar(`a pax header contains ${JSON.stringify(key.slice(0, 50))}`);
    }
    if (key === "path") overrides.path = decodeName(value);
    if (key === "size") overrides.size = decimal(value.toString("latin1"));
    at += record.length;
  }
  return overrides;
}

function keyAndValue(record) {
  const equals = record.indexOf("=");
  const end = record.indexOf("\n");
  if (equals < 1 || end !== record.length - 1 || end < equals || record.includes(0)) {
    throw badTar("a pax header is invalid");
  }
  return [record.toString("latin1", 0, equals), record.subarray(equals + 1, end)];
}

function decimal(digits) {
  if (!/^[0-9]{1,15}$/.test(digits)) throw badTar("a pax size is not a number");
  return Number(digits);
}

export const badTar = (reason) => new DiffError("bad_tar", `the tarball is invalid: ${reason}`);
