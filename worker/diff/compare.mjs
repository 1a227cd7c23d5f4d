// Compares two packages file by file.
import { compare, hunks, newBudget } from "./lines.mjs";

const BINARY_SNIFF = 8000; // bytes in which a NUL marks a file as binary, as in git
const MAX_LINES = 100_000; // in one file; the whole tarball may be nothing but newlines

export function comparePackages(before, after, maxDiffBytes) {
  const out = new Bounded(maxDiffBytes);
  const budget = newBudget();
  const files = [];
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  for (const path of paths) {
    const a = before.get(path);
    const b = after.get(path);
    if (a !== undefined && b !== undefined && a.equals(b)) continue;
    const status = a === undefined ? "added" : b === undefined ? "removed" : "modified";
    files.push({ path, status, ...compareFile(path, a, b, budget, out) });
  }
  return { files, diff: out.text(), truncated: out.truncated };
}

function compareFile(path, a, b, budget, out) {
  const from = a === undefined ? "/dev/null" : quoted(`a/${path}`);
  const to = b === undefined ? "/dev/null" : quoted(`b/${path}`);
  const old = a ?? Buffer.alloc(0);
  const fresh = b ?? Buffer.alloc(0);
  out.add(`diff --git ${quoted(`a/${path}`)} ${quoted(`b/${path}`)}\n`);
  if (isBinary(old) || isBinary(fresh)) {
    out.add(`Binary files ${from} and ${to} differ\n`);
    return { added: 0, removed: 0, note: "binary" };
  }
  const counts = [countLines(old), countLines(fresh)];
  if (Math.max(...counts) > MAX_LINES) {
    out.add(`Files ${from} and ${to} differ, in too many lines to compare\n`);
    return { added: counts[1], removed: counts[0], note: "too many lines" };
  }
  const encoding = isUtf8(old) && isUtf8(fresh) ? "utf8" : "latin1"; // latin1 loses no byte
  const edits = compare(lines(old, encoding), lines(fresh, encoding), budget);
  if (edits.length > 0) out.add(`--- ${from}\n+++ ${to}\n`);
  for (const line of hunks(edits)) {
    if (out.truncated) break;
    out.add(line);
  }
  const count = (op) => edits.reduce((sum, edit) => sum + (edit[0] === op ? 1 : 0), 0);
  return { added: count("+"), removed: count("-") };
}

const isBinary = (content) => content.subarray(0, BINARY_SNIFF).includes(0);
const isUtf8 = (content) => Buffer.from(content.toString("utf8"), "utf8").equals(content);

function countLines(content) {
  let count = 0;
  for (let at = content.indexOf(10); at >= 0; at = content.indexOf(10, at + 1)) count++;
  return content.length > 0 && content[content.length - 1] !== 10 ? count + 1 : count;
}

const lines = (content, encoding) => content.toString(encoding).match(/[^\n]*\n|[^\n]+$/g) ?? [];

// A name with a newline or a quote must not pass for a line of the diff: quoted, as git does.
const quoted = (name) => (/["\\\p{Cc}\p{Cf}\u2028\u2029]/u.test(name) ? escape(name) : name);
const escape = (name) =>
  JSON.stringify(name).replace(
    /[\x7f-\x9f\p{Cf}\u2028\u2029]/gu,
    (c) => `\\u{${c.codePointAt(0).toString(16)}}`,
  );

// Collects text up to a bound in bytes, then drops the rest and says so.
class Bounded {
  constructor(limit) {
    this.left = limit;
    this.parts = [];
    this.truncated = false;
  }

  add(text) {
    if (this.truncated) return;
    const bytes = Buffer.from(text, "utf8");
    let end = Math.min(bytes.length, this.left);
    if (end < bytes.length) {
      this.truncated = true;
      while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--; // not inside a character
    }
    this.parts.push(bytes.subarray(0, end));
    this.left -= end;
  }

  text() {
    return Buffer.concat(this.parts).toString("utf8");
  }
}
