// Prints a file's patch as `npm diff` does, with libnpmdiff's printer.
import formatDiff from "libnpmdiff/lib/format-diff.js";

// Printed after each file and cut off again: the printer strips blanks at the end of its output.
const LAST = { path: "", newFile: { mode: 0 } };

// Returns a function of {path, oldFile, newFile} and a patch, for two versions of the package.
export function printer(from, to) {
  const versions = { a: from, b: to };
  const end = formatDiff(printerInput([{ ...LAST, patch: NO_LINES }], versions));
  return (file, patch) => {
    const files = [{ ...file, patch }, { ...LAST, patch: NO_LINES }];
    const text = formatDiff(printerInput(files, versions));
    return escaped(text.slice(0, -end.length));
  };
}

const NO_LINES = { hunks: [], note: "" };

function printerInput(files, versions) {
  const refs = new Map();
  for (const { path, oldFile, newFile, patch } of files) {
    if (oldFile) refs.set(`a/${path}`, { content: NO_LINES, mode: modeOf(oldFile) });
    if (newFile) refs.set(`b/${path}`, { content: patch, mode: modeOf(newFile) });
    else refs.get(`a/${path}`).content = patch;
  }
  return { files: new Set(files.map(({ path }) => path)), refs, versions };
}

const modeOf = ({ mode }) => `100${mode.toString(8)}`;

// Escapes control characters as npm does, "^@" for a NUL. npm lets two through (ESC and CR), which
// could hide text in a terminal; this escapes them too. A large text in parts, because V8 lists all
// matches of a text before it replaces them.
export function escaped(text) {
  const parts = [];
  for (let at = 0, end; at < text.length; at = end) {
    end = at + PART_CHARS;
    if (text[end - 1] === "\r" && text[end] === "\n") end++;
    parts.push(text.slice(at, end).replace(/\r\n/g, "\n").replace(CONTROL, caret));
  }
  return parts.join("");
}

const PART_CHARS = 64 * 1024;
const CONTROL = /[\x00-\x08\x0c-\x1f\x7f-\x9f]/g;

function caret(character) {
  const code = character.charCodeAt(0);
  return `^${String.fromCharCode(code < 32 ? code + 64 : code - 64)}`;
}
