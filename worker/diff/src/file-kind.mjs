// Kind of a file, by its first bytes, whatever its name.
import { isUtf8 } from "node:buffer";
import shouldPrintPatch from "libnpmdiff/lib/should-print-patch.js";

export const HEAD_BYTES = 8000; // a NUL among them marks a binary file, as in git

const MAGIC = [
  ["elf", "7f454c46"],
  ["mach-o", "feedface"],
  ["mach-o", "feedfacf"],
  ["mach-o", "cefaedfe"],
  ["mach-o", "cffaedfe"],
  ["pe", "4d5a"],
  ["wasm", "0061736d"],
  ["archive", "1f8b"], // gzip
  ["archive", "504b0304"], // zip
  ["archive", "504b0506"], // an empty zip
  ["archive", "425a68"], // bzip2
  ["archive", "fd377a585a00"], // xz
  ["archive", "28b52ffd"], // zstd
  ["archive", "377abcaf271c"], // 7z
  ["archive", "526172211a07"], // rar
  ["archive", "213c617263683e0a"], // ar
].map(([kind, hex]) => [kind, Buffer.from(hex, "hex")]);

export function kindOf(head) {
  // first, because a text may begin with "MZ" or "BZh" too
  if (!head.includes(0) && beginsUtf8(head)) return "text";
  const [kind] = MAGIC.find(([, magic]) => head.subarray(0, magic.length).equals(magic)) ?? [];
  if (kind) return kind;
  if (isFatMachO(head)) return "mach-o";
  if (isTar(head)) return "archive";
  return head.includes(0) ? "binary" : "text";
}

// Files that npm would print are compared by lines, and any file that Node may run as a script.
export const hasLines = (kind, path, head) =>
  kind === "text" ||
  (kind === "binary" && shouldPrintPatch(path)) ||
  (["binary", "archive", "pe"].includes(kind) && beginsLikeScript(head));

// A script has a NUL only in a comment or literal, which begins before it. So has "BZh=1/*".
const beginsLikeScript = (head) =>
  /^(?:#!|[\t-\r\x20-\x7e\xc2-\xf4][\t-\r\x20-\x7e\x80-\xf4]*?[/"'`]|["'`/])/.test(
    head.toString("latin1"),
  );

const isTar = (head) => head.toString("latin1", 257, 262) === "ustar";

// Java class files have the same magic; their version number exceeds any number of architectures.
const isFatMachO = (head) =>
  head.length >= 8 && head.readUInt32BE(0) === 0xcafebabe && head.readUInt32BE(4) < 45;

// The head may end inside a character.
const beginsUtf8 = (head) =>
  [0, 1, 2, 3].some((cut) => isUtf8(head.subarray(0, head.length - cut)));
