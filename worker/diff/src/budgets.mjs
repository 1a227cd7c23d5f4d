// Keeps what is written into the answer within its bounds. The files come smallest first, so that a
// large one cannot crowd the others out.

// The lines of all files together.
export class Lines {
  #left;
  #longest;

  constructor({ linesBytes, lineBytes }) {
    this.#left = linesBytes;
    this.#longest = lineBytes;
  }

  // Returns the added and removed lines as far as there is room, and whether they are all whole.
  take({ added, gone }) {
    const result = { lines: [], gone: [], whole: true };
    for (const [number, line] of added) {
      if (!this.#keep(line, result, (kept) => result.lines.push([number, kept]))) return result;
    }
    for (const line of gone) {
      if (!this.#keep(line, result, (kept) => result.gone.push(kept))) return result;
    }
    return result;
  }

  #keep(line, result, push) {
    const kept = cut(line, this.#longest);
    this.#left -= Buffer.byteLength(JSON.stringify(kept), "utf8") + 12; // and its number
    if (kept !== line || this.#left < 0) result.whole = false;
    if (this.#left < 0) return false;
    push(kept);
    return true;
  }
}

// The diff's text, of all files together.
export class Text {
  truncated = false;
  #left;
  #limit;

  constructor({ diffBytes }) {
    this.#left = this.#limit = diffBytes;
  }

  // Returns what `print` makes of the patch, or else of a note in its place, or else nothing.
  take(patch, print) {
    const note = `left out: the diff has more than ${this.#limit} bytes`;
    return this.#keep(print(patch)) ?? this.#keep(print({ ...patch, hunks: null, note })) ?? "";
  }

  #keep(text) {
    const bytes = Buffer.byteLength(text, "utf8");
    if (bytes <= this.#left) {
      this.#left -= bytes;
      return text;
    }
    this.truncated = true;
    return null;
  }
}

// Returns the beginning of the text, up to so many bytes of UTF-8, with no half character.
function cut(text, bytes) {
  if (text.length * 3 <= bytes || Buffer.byteLength(text, "utf8") <= bytes) return text;
  const whole = Buffer.from(text.slice(0, bytes), "utf8");
  let end = bytes;
  while (end > 0 && (whole[end] & 0xc0) === 0x80) end--;
  return whole.toString("utf8", 0, end);
}
