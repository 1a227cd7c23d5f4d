// Compares two texts by lines, with the engine of libnpmdiff, within bounds.
import { formatPatch, structuredPatch } from "diff";

const CONTEXT = 3; // as in npm
const EDITS = 4000; // in one file; time and memory grow with their square: this takes a second
const STEPS = 4 * EDITS ** 2; // squares of the edits of all files together
const HUNK_LINES = 50_000; // formatPatch overflows the stack at some 120,000

// What comparing may still cost, for one request.
export const newEffort = () => ({ steps: STEPS });

// A patch: {hunks, added: [[number, line]], gone: [line], note}. A note says why there are no
// hunks; where the texts could be compared all the same, the lines are there.
export const notCompared = (note) => ({ hunks: null, added: [], gone: [], note });

export function comparePatch(old, fresh, effort) {
  if (old === "" || fresh === "") return oneSided(old, fresh);
  const maxEditLength = Math.min(EDITS, Math.floor(Math.sqrt(effort.steps)));
  const hunks = maxEditLength > 0 ? hunksOf(old, fresh, { maxEditLength }) : null; // 0: no bound
  const patch = hunks === null ? unordered(split(old), split(fresh)) : fromHunks(hunks);
  const edits = hunks === null ? maxEditLength : patch.added.length + patch.gone.length;
  effort.steps -= edits ** 2;
  return patch;
}

// libnpmdiff asks its engine for a patch by this name. In the bundle it gets this one (build.mjs),
// which writes the patch that comparePatch made: it stands where libnpmdiff has the contents.
export function createTwoFilesPatch(oldFileName, newFileName, old, fresh) {
  const { hunks, note } = fresh || old;
  const names = { oldFileName, newFileName, oldHeader: "", newHeader: "" };
  const text = formatPatch({ ...names, hunks: hunks ?? [] });
  return note === "" ? text : `${text}(${note})\n`;
}

function hunksOf(old, fresh, bound) {
  const options = { context: CONTEXT, ...bound };
  return structuredPatch("", "", old, fresh, "", "", options)?.hunks ?? null;
}

function oneSided(old, fresh) {
  const gone = split(old);
  const added = split(fresh).map((line, index) => [index + 1, line]);
  if (gone.length + added.length <= HUNK_LINES) {
    return { hunks: hunksOf(old, fresh), added, gone, note: "" };
  }
  return { hunks: null, added, gone, note: `more than ${HUNK_LINES} lines` };
}

function fromHunks(hunks) {
  const patch = { hunks, added: [], gone: [], note: "" };
  for (const { newStart, lines } of hunks) {
    let number = newStart;
    for (const line of lines) {
      if (line[0] === "+") patch.added.push([number, line.slice(1)]);
      if (line[0] === "-") patch.gone.push(line.slice(1));
      if (line[0] === "+" || line[0] === " ") number++;
    }
  }
  return patch;
}

// The lines that one text has more often than the other, wherever they stand.
function unordered(old, fresh) {
  const surplus = new Map();
  for (const line of old) surplus.set(line, (surplus.get(line) ?? 0) + 1);
  const added = [];
  fresh.forEach((line, index) => {
    const count = surplus.get(line) ?? 0;
    if (count > 0) surplus.set(line, count - 1);
    else added.push([index + 1, line]);
  });
  const gone = [...surplus].flatMap(([line, count]) => Array(count).fill(line));
  const note = "too many changes for a patch: its lines are compared regardless of their order";
  return { hunks: null, added, gone, note };
}

function split(text) {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
