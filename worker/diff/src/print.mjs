// Prints the patch of a file as `npm diff` does, by libnpmdiff's own printer.
import formatDiff from "libnpmdiff/lib/format-diff.js";

// A file that stands last in what is printed, since the printer strips blanks from the end.
const LAST = { path: "", fresh: { mode: 0 } };

// Returns a function of {path, old, fresh} and a patch, for two versions of the package.
export function printer(from, to) {
  const versions = { a: from, b: to };
  const end = formatDiff(asked([{ ...LAST, patch: NO_LINES }], versions));
  return (file, patch) => {
    const text = formatDiff(asked([{ ...file, patch }, { ...LAST, patch: NO_LINES }], versions));
    return shown(text.slice(0, -end.length));
  };
}

const NO_LINES = { hunks: [], note: "" };

function asked(files, versions) {
  const refs = new Map();
  for (const { path, old, fresh, patch } of files) {
    if (old) refs.set(`a/${path}`, { content: NO_LINES, mode: modeOf(old) });
    if (fresh) refs.set(`b/${path}`, { content: patch, mode: modeOf(fresh) });
    else refs.get(`a/${path}`).content = patch;
  }
  return { files: new Set(files.map(({ path }) => path)), refs, versions };
}

const modeOf = ({ mode }) => `100${mode.toString(8)}`;

// Control characters as npm shows them, "^@" for a NUL; also the two that it lets through, by which
// a text could hide itself from a terminal.
const shown = (text) => text.replace(/\r\n/g, "\n").replace(CONTROL, caret);
const CONTROL = /[\x00-\x08\x0c-\x1f\x7f-\x9f]/g;

function caret(character) {
  const code = character.charCodeAt(0);
  return `^${String.fromCharCode(code < 32 ? code + 64 : code - 64)}`;
}
