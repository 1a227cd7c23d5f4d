// Compares two lists of lines by Myers' algorithm, and writes hunks of a unified diff.
const MAX_EDITS = 2000; // beyond so many edits a file counts as rewritten; bounds memory to 16 MB
const CONTEXT = 3;

// Steps for one request, all files together, so that many hard pairs cannot take for ever.
export const newBudget = () => ({ steps: 100_000_000 });

// Returns the edits as [op, line], op one of " ", "-", "+".
export function compare(a, b, budget) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  const most = Math.min(a.length, b.length) - head;
  while (tail < most && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const midA = a.slice(head, a.length - tail);
  const midB = b.slice(head, b.length - tail);
  const middle = myers(midA, midB, budget) ?? [...all("-", midA), ...all("+", midB)];
  return [...all(" ", a.slice(0, head)), ...middle, ...all(" ", a.slice(a.length - tail))];
}

const all = (op, lines) => lines.map((line) => [op, line]);

// The shortest edit script, or null when it is beyond a bound.
function myers(a, b, budget) {
  if (a.length === 0 || b.length === 0) return [...all("-", a), ...all("+", b)];
  const bound = Math.min(a.length + b.length, MAX_EDITS);
  const furthest = new Int32Array(2 * bound + 3); // x by diagonal, shifted by bound + 1
  const zero = bound + 1;
  const trace = [];
  for (let d = 0; d <= bound; d++) {
    if ((budget.steps -= d + 1) < 0) return null;
    trace.push(furthest.slice(zero - d - 1, zero + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && furthest[zero + k - 1] < furthest[zero + k + 1]);
      let x = down ? furthest[zero + k + 1] : furthest[zero + k - 1] + 1;
      const from = x;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      budget.steps -= x - from;
      furthest[zero + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace);
    }
  }
  return null;
}

function walkBack(a, b, trace) {
  const edits = [];
  let x = a.length;
  let y = b.length;
  for (let d = trace.length - 1; d >= 0; d--) {
    const before = (k) => trace[d][k + d + 1];
    const k = x - y;
    const down = k === -d || (k !== d && before(k - 1) < before(k + 1));
    const fromX = d === 0 ? 0 : down ? before(k + 1) : before(k - 1);
    const fromY = d === 0 ? 0 : fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY) edits.push([" ", a[--x], --y]);
    if (d > 0) edits.push(down ? ["+", b[--y]] : ["-", a[--x]]);
  }
  return edits.reverse().map(([op, line]) => [op, line]);
}

// Yields the lines of each hunk. A line keeps its newline, so a missing one shows.
export function* hunks(edits) {
  let lineA = 1;
  let lineB = 1;
  let i = 0;
  while (i < edits.length) {
    let first = i;
    while (first < edits.length && edits[first][0] === " ") first++;
    if (first === edits.length) return;
    const start = Math.max(i, first - CONTEXT);
    lineA += start - i;
    lineB += start - i;
    const end = hunkEnd(edits, first);
    const part = edits.slice(start, end);
    const inA = part.filter(([op]) => op !== "+").length;
    const inB = part.filter(([op]) => op !== "-").length;
    yield `@@ -${range(lineA, inA)} +${range(lineB, inB)} @@\n`;
    for (const [op, line] of part) {
      yield line.endsWith("\n") ? op + line : `${op}${line}\n\\ No newline at end of file\n`;
    }
    lineA += inA;
    lineB += inB;
    i = end;
  }
}

// The end of the hunk that begins at edit `at`: after the last edit with a short gap before it.
function hunkEnd(edits, at) {
  let last = at;
  for (let i = at; i < edits.length && i - last <= 2 * CONTEXT; i++) {
    if (edits[i][0] !== " ") last = i;
  }
  return Math.min(edits.length, last + CONTEXT + 1);
}

// An empty range names the line before it, as diff and patch have it.
const range = (line, count) =>
  count === 1 ? `${line}` : `${count === 0 ? line - 1 : line},${count}`;
