// Line-by-line comparison of two texts, by libnpmdiff's engine, with limits on its work.
import { formatPatch, structuredPatch } from "diff";

const CONTEXT_LINES = 3; // as in npm
const MAX_EDITS = 4000; // in one file; time and memory grow with the square: this takes a second
const MAX_STEPS = 4 * MAX_EDITS ** 2; // sum of the squared edits of all files
const MAX_HUNK_LINES = 50_000; // formatPatch overflows the stack at about 120,000

// Remaining work of one request.
export const newBudget = () => ({ steps: MAX_STEPS });

// A patch: {hunks, added: [[number, line]], removed: [line], note}. The note says why `hunks` is
// null; the added and removed lines may be known all the same.
export const notCompared = (note) => ({ hunks: null, added: [], removed: [], note });

export function comparePatch(oldText, newText, budget) {
  if (oldText === "" || newText === "") return oneSided(oldText, newText);
  const maxEditLength = Math.min(MAX_EDITS, Math.floor(Math.sqrt(budget.steps)));
  // 0 would mean: without a limit
  const hunks = maxEditLength > 0 ? hunksOf(oldText, newText, { maxEditLength }) : null;
  const patch = hunks === null ? unordered(split(oldText), split(newText)) : fromHunks(hunks);
  const edits = hunks === null ? maxEditLength : patch.added.length + patch.removed.length;
  budget.steps -= edits ** 2;
  return patch;
}

// The function that libnpmdiff's printer calls to diff two contents. In the bundle (build.mjs), it
// gets this one, and a patch of comparePatch in place of the contents.
export function createTwoFilesPatch(oldFileName, newFileName, oldPatch, newPatch) {
  const { hunks, note } = newPatch || oldPatch;
  const names = { oldFileName, newFileName, oldHeader: "", newHeader: "" };
  const text = formatPatch({ ...names, hunks: hunks ?? [] });
  return note === "" ? text : `${text}(${note})\n`;
}

function hunksOf(oldText, newText, limit) {
  const options = { context: CONTEXT_LINES, ...limit };
  return structuredPatch("", "", oldText, newText, "", "", options)?.hunks ?? null;
}

function oneSided(oldText, newText) {
  const removed = split(oldText);
  const added = split(newText).map((line, index) => [index + 1, line]);
  if (removed.length + added.length <= MAX_HUNK_LINES) {
    return { hunks: hunksOf(oldText, newText), added, removed, note: "" };
  }
  return { hunks: null, added, removed, note: `more than ${MAX_HUNK_LINES} lines` };
}

function fromHunks(hunks) {
  const patch = { hunks, added: [], removed: [], note: "" };
  for (const { newStart, lines } of hunks) {
    let number = newStart;
    for (const line of lines) {
      if (line[0] === "+") patch.added.push([number, line.slice(1)]);
      if (line[0] === "-") patch.removed.push(line.slice(1));
      if (line[0] === "+" || line[0] === " ") number++;
    }
  }
  return patch;
}

// Compares without order: a line is added or removed if one text has it more often.
function unordered(oldLines, newLines) {
  const surplus = new Map();
  for (const line of oldLines) surplus.set(line, (surplus.get(line) ?? 0) + 1);
  const added = [];
  newLines.forEach((line, index) => {
    const count = surplus.get(line) ?? 0;
    if (count > 0) surplus.set(line, count - 1);
    else added.push([index + 1, line]);
  });
  const removed = [...surplus].flatMap(([line, count]) => Array(count).fill(line));
  const note = "too many changes for a patch: its lines are compared regardless of their order";
  return { hunks: null, added, removed, note };
}

function split(text) {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
