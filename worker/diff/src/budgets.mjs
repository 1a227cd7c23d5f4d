// Size limits of the answer. The smallest files come first, so that a large file cannot crowd out
// the others.

// Budget for the lines of all files.
export class LineBudget {
  #remaining;
  #maxLine;

  constructor({ linesBytes, lineBytes }) {
    this.#remaining = linesBytes;
    this.#maxLine = lineBytes;
  }

  // Returns the added and removed lines that fit, and whether they are complete.
  take({ added, removed }) {
    const result = { added_lines: [], removed_lines: [], complete: true };
    for (const [number, line] of added) {
      const push = (text) => result.added_lines.push([number, text]);
      if (!this.#take(line, result, push)) return result;
    }
    for (const line of removed) {
      const push = (text) => result.removed_lines.push(text);
      if (!this.#take(line, result, push)) return result;
    }
    return result;
  }

  #take(line, result, push) {
    const text = cut(line, this.#maxLine);
    this.#remaining -= Buffer.byteLength(JSON.stringify(text), "utf8") + 12; // and its number
    if (text !== line || this.#remaining < 0) result.complete = false;
    if (this.#remaining < 0) return false;
    push(text);
    return true;
  }
}

// Budget for the diff's text.
export class TextBudget {
  truncated = false;
  #remaining;
  #limit;

  constructor({ diffBytes }) {
    this.#remaining = this.#limit = diffBytes;
  }

  // Returns the printed patch if it fits, else a printed note if that fits, else "".
  take(patch, print) {
    const note = `left out: the diff has more than ${this.#limit} bytes`;
    return this.#take(print(patch)) ?? this.#take(print({ ...patch, hunks: null, note })) ?? "";
  }

  #take(text) {
    const bytes = Buffer.byteLength(text, "utf8");
    if (bytes <= this.#remaining) {
      this.#remaining -= bytes;
      return text;
    }
    this.truncated = true;
    return null;
  }
}

// Returns the first `bytes` bytes of the text in UTF-8, or fewer: it does not split a character.
function cut(text, bytes) {
  if (text.length * 3 <= bytes || Buffer.byteLength(text, "utf8") <= bytes) return text;
  const encoded = Buffer.from(text.slice(0, bytes), "utf8");
  let end = bytes;
  while (end > 0 && (encoded[end] & 0xc0) === 0x80) end--;
  return encoded.toString("utf8", 0, end);
}
