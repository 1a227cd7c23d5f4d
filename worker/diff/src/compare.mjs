// Compares two versions file by file: what changed in each, and the diff as `npm diff` prints it.
import { Lines, Text } from "./budgets.mjs";
import { look } from "./contents.mjs";
import { hasLines } from "./file-kind.mjs";
import { comparePatch, newEffort, notCompared } from "./patch.mjs";
import { printer } from "./print.mjs";

const TEXT_BYTES = 16 * 1024 * 1024; // of a file that is compared by lines
const TEXTS_BYTES = 48 * 1024 * 1024; // of all such files, in both versions: they lie in memory
const TEXT_LINES = 250_000; // of a file that is compared by lines

// Takes of each version {version, tarball, files}, files as survey() returns them.
export async function compare(from, to, limits) {
  const pairs = changedPairs(from.files, to.files);
  const ascending = [...pairs].sort((a, b) => bytesOf(a) - bytesOf(b));
  const kept = affordable(ascending);
  const before = await look(from.tarball, limits, pairs, kept);
  const after = await look(to.tarball, limits, pairs, kept);
  const [lines, text, effort] = [new Lines(limits), new Text(limits), newEffort()];
  const print = printer(from.version, to.version);
  const stats = { files_changed: pairs.length, lines_added: 0, lines_removed: 0 };
  for (const pair of ascending) {
    const { path } = pair;
    const [a, b] = [before.get(path), after.get(path)];
    const { patch, bounded } = compareFile(pair, a, b, effort);
    pair.text = text.take(patch, (shown) => print(pair, shown));
    pair.answer = described(pair, a, b, lines.take(patch), patch.note, bounded);
    stats.lines_added += patch.added.length;
    stats.lines_removed += patch.gone.length;
    before.delete(path); // their contents are large
    after.delete(path);
  }
  return {
    files: pairs.map(({ answer }) => answer).sort((a, b) => (a.path < b.path ? -1 : 1)),
    diff: pairs.map((pair) => pair.text).join("").trim(), // as the printer does
    truncated: text.truncated,
    stats,
  };
}

// The files that differ in content or mode, in the order in which npm prints them.
function changedPairs(from, to) {
  const paths = new Set([...from.keys(), ...to.keys()]);
  return [...paths]
    .map((path) => ({ path, old: from.get(path), fresh: to.get(path) }))
    .filter(({ old, fresh }) => old?.digest !== fresh?.digest || old?.mode !== fresh?.mode);
}

const sameContent = ({ old, fresh }) => old?.digest === fresh?.digest;
const bytesOf = ({ old, fresh }) => (old?.size ?? 0) + (fresh?.size ?? 0);

// The paths of the files whose contents may be kept.
function affordable(ascending) {
  const kept = new Set();
  let left = TEXTS_BYTES;
  for (const pair of ascending) {
    const { path, old, fresh } = pair;
    if (sameContent(pair) || Math.max(old?.size ?? 0, fresh?.size ?? 0) > TEXT_BYTES) continue;
    if ((left -= bytesOf(pair)) < 0) break;
    kept.add(path);
  }
  return kept;
}

// Returns the patch, and whether it lacks something for a bound's sake. Where the old content
// cannot be read, all lines of the new one are added: no line may come in unseen.
function compareFile(pair, a, b, effort) {
  if (sameContent(pair)) return { patch: notCompared(""), bounded: false };
  const [before, after] = [unreadable(pair.path, a), unreadable(pair.path, b)];
  if (after) return { patch: notCompared(after.note), bounded: after.bounded };
  const [old, fresh] = [before ? "" : decoded(a), decoded(b)];
  if (before) {
    const { added } = comparePatch(old, fresh, effort);
    return { patch: { ...notCompared(before.note), added }, bounded: before.bounded };
  }
  if (old === fresh && a && b) {
    return { patch: notCompared("it differs only in bytes that are not UTF-8"), bounded: true };
  }
  const patch = comparePatch(old, fresh, effort);
  return { patch, bounded: false }; // a note says that there is no patch; the lines are all there
}

// Why a file has no lines to compare; undefined where it has, or is not there.
function unreadable(path, file) {
  if (file === undefined) return undefined;
  if (!hasLines(file.kind, path)) return { note: "binary", bounded: false };
  if (file.text === null) return { note: "too large to be compared by lines", bounded: true };
  if (file.lines > TEXT_LINES) return { note: `more than ${TEXT_LINES} lines`, bounded: true };
  return undefined;
}

const decoded = (file) => file?.text.toString("utf8") ?? "";

function described({ path, old, fresh }, a, b, taken, note, bounded) {
  const { kind } = b ?? a;
  const longest = (file) => (file && hasLines(file.kind, path) ? file.longest : 0);
  return {
    path,
    status: old === undefined ? "added" : fresh === undefined ? "removed" : "modified",
    kind,
    size: fresh?.size ?? 0,
    executable: ((fresh ?? old).mode & 0o111) !== 0,
    longest_before: longest(a),
    longest: longest(b),
    ...taken,
    whole: taken.whole && !bounded,
    note: note || (taken.whole ? "" : "its lines are cut, or not all are here"),
  };
}
