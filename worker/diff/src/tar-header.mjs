// Decodes a tar header and what may stand before one: pax records and GNU's long names.
import { Refusal } from "./error.mjs";

export const BLOCK = 512;
const NAME_BYTES = 1024;

// Records that say nothing of where a file's content lies; vendors' own have a dot in their key.
const HARMLESS = /^(atime|charset|comment|ctime|gid|gname|hdrcharset|mtime|uid|uname|.+\..+)$/;
const SPARSE = /^GNU\.sparse\./;

export const isBlank = (block) => block.every((byte) => byte === 0);

export function decodeHeader(block) {
  checkSum(block);
  return {
    type: String.fromCharCode(block[156] || 48), // old tars leave it 0: a file
    path: path(block),
    mode: number(block.subarray(100, 108)) & 0o7777,
    size: number(block.subarray(124, 136)),
    link: untilNul(block.subarray(157, 257)).length > 0,
  };
}

function checkSum(block) {
  let sum = 8 * 32; // the sum's own field counts as spaces
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i];
  if (sum !== number(block.subarray(148, 156))) throw broken("a header's checksum is wrong");
}

function number(field) {
  const [, digits] = /^ *([0-7]*) *(\0|$)/.exec(field.toString("latin1")) ?? [];
  if (digits === undefined) throw broken("a number in a header is not octal"); // or beyond 8 GiB
  return digits === "" ? 0 : parseInt(digits, 8);
}

function path(block) {
  const name = decodeName(block.subarray(0, 100));
  // only POSIX ustar has a prefix there; GNU's magic is "ustar " and keeps times in its place
  const posix = block.toString("latin1", 257, 265) === "ustar\x0000";
  const prefix = posix ? decodeName(block.subarray(345, 500)) : "";
  return prefix ? `${prefix}/${name}` : name;
}

// Names must be UTF-8: any other reading could let two names look like one.
export function decodeName(field) {
  const bytes = untilNul(field);
  if (bytes.length > NAME_BYTES) {
    throw new Refusal("unsafe_path", `a name has more than ${NAME_BYTES} bytes`);
  }
  const name = bytes.toString("utf8");
  if (!Buffer.from(name, "utf8").equals(bytes)) {
    throw new Refusal("unsafe_path", "a name is not UTF-8");
  }
  return name;
}

function untilNul(field) {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

// Returns the path and size that a pax body states. It is records of "length key=value\n", the
// length in bytes and counting itself. What npm's own reader would read in another way, and so
// could hide a file from one of the two, is refused.
export function decodePax(body, isGlobal) {
  const stated = {};
  for (let at = 0; at < body.length; ) {
    const digits = /^[1-9][0-9]{0,6}(?= )/.exec(body.toString("latin1", at, at + 8))?.[0] ?? "0";
    const record = body.subarray(at, at + Number(digits));
    const [key, value] = keyAndValue(record.subarray(digits.length + 1));
    if (record.length < Number(digits)) throw broken("a pax header is broken");
    const isPlace = !isGlobal && (key === "path" || key === "size");
    if (!isPlace && (!HARMLESS.test(key) || SPARSE.test(key))) {
      throw broken(`a pax header states ${JSON.stringify(key.slice(0, 50))}`);
    }
    if (key === "path") stated.path = decodeName(value);
    if (key === "size") stated.size = decimal(value.toString("latin1"));
    at += record.length;
  }
  return stated;
}

function keyAndValue(record) {
  const equals = record.indexOf("=");
  const end = record.indexOf("\n");
  if (equals < 1 || end !== record.length - 1 || end < equals || record.includes(0)) {
    throw broken("a pax header is broken");
  }
  return [record.toString("latin1", 0, equals), record.subarray(equals + 1, end)];
}

function decimal(digits) {
  if (!/^[0-9]{1,15}$/.test(digits)) throw broken("a pax size is no number");
  return Number(digits);
}

export const broken = (what) => new Refusal("bad_tar", `the tarball is broken: ${what}`);
