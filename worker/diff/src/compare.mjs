// Compares two versions file by file: each file's changes, and the diff as `npm diff` prints it.
import { LineBudget, TextBudget } from "./budgets.mjs";
import { readDetails } from "./contents.mjs";
import { comparePatch, newWorkBudget, notCompared } from "./patch.mjs";
import { printer } from "./print.mjs";

// Limits of a file that is compared by lines.
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const MAX_TEXT_LINES = 250_000;
const MAX_ALL_TEXTS_BYTES = 48 * 1024 * 1024; // of both versions: they are in memory

// Compares two versions, each {version, tarball, files} with files from readDigests().
export async function compare(from, to, limits) {
  const pairs = changedPairs(from.files, to.files);
  const paths = new Set(pairs.map(({ path }) => path));
  const smallestFirst = [...pairs].sort((a, b) => bytesOf(a) - bytesOf(b));
  const textPaths = affordablePaths(smallestFirst);
  const oldDetails = await readDetails(from.tarball, limits, paths, textPaths);
  const newDetails = await readDetails(to.tarball, limits, paths, textPaths);
  const lineBudget = new LineBudget(limits);
  const textBudget = new TextBudget(limits);
  const workBudget = newWorkBudget();
  const print = printer(from.version, to.version);
  const stats = { files_changed: pairs.length, lines_added: 0, lines_removed: 0 };
  for (const pair of smallestFirst) {
    const { path } = pair;
    const [before, after] = [oldDetails.get(path), newDetails.get(path)];
    const { patch, exceeded } = compareFile(pair, before, after, workBudget);
    const lines = lineBudget.take(patch);
    pair.text = textBudget.take(patch, (shownPatch) => print(pair, shownPatch));
    pair.answer = describe({ pair, before, after, lines, note: patch.note, exceeded });
    stats.lines_added += patch.added.length;
    stats.lines_removed += patch.removed.length;
    oldDetails.delete(path); // frees its content
    newDetails.delete(path);
  }
  return {
    files: pairs.map(({ answer }) => answer).sort((a, b) => (a.path < b.path ? -1 : 1)),
    diff: pairs.map((pair) => pair.text).join("").trim(), // as npm's printer does
    truncated: textBudget.truncated,
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
  let remaining = MAX_ALL_TEXTS_BYTES;
  for (const pair of smallestFirst) {
    const { path, oldFile, newFile } = pair;
    const larger = Math.max(oldFile?.size ?? 0, newFile?.size ?? 0);
    if (hasSameContent(pair) || larger > MAX_TEXT_BYTES) continue;
    if ((remaining -= bytesOf(pair)) < 0) break;
    paths.add(path);
  }
  return paths;
}

// Returns the patch, and whether a limit left something out of it. If the old content cannot be
// compared, all new lines count as added, so that none goes unnoticed.
function compareFile(pair, before, after, workBudget) {
  if (hasSameContent(pair)) return { patch: notCompared(""), exceeded: false };
  const obstacleBefore = findObstacle(before);
  const obstacleAfter = findObstacle(after);
  if (obstacleAfter) {
    return { patch: notCompared(obstacleAfter.note), exceeded: obstacleAfter.exceeded };
  }
  const [oldText, newText] = [obstacleBefore ? "" : decoded(before), decoded(after)];
  if (obstacleBefore) {
    const { added } = comparePatch(oldText, newText, workBudget);
    const patch = { ...notCompared(obstacleBefore.note), added };
    return { patch, exceeded: obstacleBefore.exceeded };
  }
  if (oldText === newText && before && after) {
    return { patch: notCompared("it differs only in bytes that are not UTF-8"), exceeded: true };
  }
  // A note in this patch says that there are no hunks; the lines are complete.
  return { patch: comparePatch(oldText, newText, workBudget), exceeded: false };
}

// Returns why a file cannot be compared by lines; undefined if it can, or does not exist.
function findObstacle(file) {
  if (file === undefined) return undefined;
  if (!file.readable) return { note: "binary", exceeded: false };
  if (file.text === null) return { note: "too large to be compared by lines", exceeded: true };
  if (file.lines > MAX_TEXT_LINES) {
    return { note: `more than ${MAX_TEXT_LINES} lines`, exceeded: true };
  }
  return undefined;
}

const decoded = (file) => file?.text.toString("utf8") ?? "";

function describe({ pair, before, after, lines, note, exceeded }) {
  const { path, oldFile, newFile } = pair;
  const { kind } = after ?? before;
  const longest = (file) => (file?.readable ? file.longestLine : 0);
  return {
    path,
    status: oldFile === undefined ? "added" : newFile === undefined ? "removed" : "modified",
    kind,
    size: newFile?.size ?? 0,
    executable: ((newFile ?? oldFile).mode & 0o111) !== 0,
    longest_line_before: longest(before),
    longest_line: longest(after),
    ...lines,
    complete: lines.complete && !exceeded,
    note: note || (lines.complete ? "" : "its lines are cut, or some are left out"),
  };
}
