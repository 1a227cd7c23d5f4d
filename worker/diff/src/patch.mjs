// Line-by-line comparison of two texts, by libnpmdiff's engine, with limits on its work.
import { formatPatch, structuredPatch } from "diff";

const CONTEXT_LINES = 3; // as in npm
const MAX_EDITS = 4000; // in one file: time and memory grow with the square, and 4000 take a second
const MAX_STEPS = 4 * MAX_EDITS ** 2; // sum of the squared edits of all files
const MAX_HUNK_LINES = 50_000; // formatPatch overflows the stack at about 120,000

// Work that the comparisons of one request may still take.
export const newWorkBudget = () => ({ steps: MAX_STEPS });

// A patch: {hunks, added: [[number, line]], removed: [line], note}. The note says why there are no
// hunks; the added and removed lines may be known all the same.
export const notCompared = (note) => ({ hunks: null, added: [], removed: [], note });

export function comparePatch(oldText, newText, budget) {
  if (oldText === "" || newText === "") return oneSidedPatch(oldText, newText);
  const maxEditLength = Math.min(MAX_EDITS, Math.floor(Math.sqrt(budget.steps)));
  // For the engine, a maximum of 0 means no limit.
  const hunks = maxEditLength > 0 ? hunksOf(oldText, newText, { maxEditLength }) : null;
  const patch = hunks === null ? unorderedPatch(split(oldText), split(newText)) : patchOf(hunks);
  const edits = hunks === null ? maxEditLength : patch.added.length + patch.removed.length;
  budget.steps -= edits ** 2;
  return patch;
}

// Replaces, in the bundle (build.mjs), the function with which libnpmdiff's printer diffs two
// contents. The contents are patches of comparePatch here: see print.mjs.
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

function oneSidedPatch(oldText, newText) {
  const removed = split(oldText);
  const added = split(newText).map((line, index) => [index + 1, line]);
  if (removed.length + added.length <= MAX_HUNK_LINES) {
    return { hunks: hunksOf(oldText, newText), added, removed, note: "" };
  }
  return { hunks: null, added, removed, note: `more than ${MAX_HUNK_LINES} lines` };
}

function patchOf(hunks) {
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
function unorderedPatch(oldLines, newLines) {
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
