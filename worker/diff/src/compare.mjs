// Compares two versions file by file: each file's changes, and the diff as `npm diff` prints it.
import { LineBudget, TextBudget } from "./budgets.mjs";
import { readDetails } from "./contents.mjs";
import { hasLines } from "./file-kind.mjs";
import { comparePatch, newBudget, notCompared } from "./patch.mjs";
import { printer } from "./print.mjs";

const MAX_TEXT_BYTES = 16 * 1024 * 1024; // of a file that is compared by lines
const MAX_TEXTS_BYTES = 48 * 1024 * 1024; // of all such files in both versions: they are in memory
const MAX_TEXT_LINES = 250_000; // of a file that is compared by lines

// Compares two versions, each {version, tarball, files} with files from readDigests().
export async function compare(from, to, limits) {
  const pairs = changedPairs(from.files, to.files);
  const paths = new Set(pairs.map(({ path }) => path));
  const smallestFirst = [...pairs].sort((a, b) => bytesOf(a) - bytesOf(b));
  const textPaths = affordablePaths(smallestFirst);
  const oldDetails = await readDetails(from.tarball, limits, paths, textPaths);
  const newDetails = await readDetails(to.tarball, limits, paths, textPaths);
  const lines = new LineBudget(limits);
  const text = new TextBudget(limits);
  const budget = newBudget();
  const print = printer(from.version, to.version);
  const stats = { files_changed: pairs.length, lines_added: 0, lines_removed: 0 };
  for (const pair of smallestFirst) {
    const { path } = pair;
    const [before, after] = [oldDetails.get(path), newDetails.get(path)];
    const { patch, exceeded } = compareFile(pair, before, after, budget);
    pair.text = text.take(patch, (shown) => print(pair, shown));
    pair.answer = describe(pair, before, after, lines.take(patch), patch.note, exceeded);
    stats.lines_added += patch.added.length;
    stats.lines_removed += patch.removed.length;
    oldDetails.delete(path); // frees its content
    newDetails.delete(path);
  }
  return {
    files: pairs.map(({ answer }) => answer).sort((a, b) => (a.path < b.path ? -1 : 1)),
    diff: pairs.map((pair) => pair.text).join("").trim(), // as the printer does
    truncated: text.truncated,
    stats,
  };
}

// Returns the files that differ in content or mode, in the order in which npm prints them.
function changedPairs(from, to) {
  const paths = new Set([...from.keys(), ...to.keys()]);
  return [...paths]
    .map((path) => ({ path, oldFile: from.get(path), newFile: to.get(path) }))
    .filter((pair) => !hasSameContent(pair) || pair.oldFile?.mode !== pair.newFile?.mode);
}

const hasSameContent = ({ oldFile, newFile }) => oldFile?.digest === newFile?.digest;
const bytesOf = ({ oldFile, newFile }) => (oldFile?.size ?? 0) + (newFile?.size ?? 0);

// Returns the paths of the files whose contents fit into memory.
function affordablePaths(smallestFirst) {
  const paths = new Set();
  let remaining = MAX_TEXTS_BYTES;
  for (const pair of smallestFirst) {
    const { path, oldFile, newFile } = pair;
    const larger = Math.max(oldFile?.size ?? 0, newFile?.size ?? 0);
    if (hasSameContent(pair) || larger > MAX_TEXT_BYTES) continue;
    if ((remaining -= bytesOf(pair)) < 0) break;
    paths.add(path);
  }
  return paths;
}

// Returns the patch, and whether a limit left something out. If the old content cannot be compared,
// all new lines count as added, so that none goes unnoticed.
function compareFile(pair, before, after, budget) {
  if (hasSameContent(pair)) return { patch: notCompared(""), exceeded: false };
  const obstacleBefore = obstacle(pair.path, before);
  const obstacleAfter = obstacle(pair.path, after);
  if (obstacleAfter) {
    return { patch: notCompared(obstacleAfter.note), exceeded: obstacleAfter.exceeded };
  }
  const [oldText, newText] = [obstacleBefore ? "" : decoded(before), decoded(after)];
  if (obstacleBefore) {
    const { added } = comparePatch(oldText, newText, budget);
    const patch = { ...notCompared(obstacleBefore.note), added };
    return { patch, exceeded: obstacleBefore.exceeded };
  }
  if (oldText === newText && before && after) {
    return { patch: notCompared("it differs only in bytes that are not UTF-8"), exceeded: true };
  }
  // A note in this patch says that there are no hunks; the lines are complete.
  return { patch: comparePatch(oldText, newText, budget), exceeded: false };
}

// Returns why a file cannot be compared by lines; undefined if it can, or does not exist.
function obstacle(path, file) {
  if (file === undefined) return undefined;
  if (!hasLines(file.kind, path)) return { note: "binary", exceeded: false };
  if (file.text === null) return { note: "too large to be compared by lines", exceeded: true };
  if (file.lines > MAX_TEXT_LINES) {
    return { note: `more than ${MAX_TEXT_LINES} lines`, exceeded: true };
  }
  return undefined;
}

const decoded = (file) => file?.text.toString("utf8") ?? "";

function describe({ path, oldFile, newFile }, before, after, taken, note, exceeded) {
  const { kind } = after ?? before;
  const longest = (file) => (file && hasLines(file.kind, path) ? file.longestLine : 0);
  return {
    path,
    status: oldFile === undefined ? "added" : newFile === undefined ? "removed" : "modified",
    kind,
    size: newFile?.size ?? 0,
    executable: ((newFile ?? oldFile).mode & 0o111) !== 0,
    longest_line_before: longest(before),
    longest_line: longest(after),
    ...taken,
    complete: taken.complete && !exceeded,
    note: note || (taken.complete ? "" : "its lines are cut, or some are left out"),
  };
}
