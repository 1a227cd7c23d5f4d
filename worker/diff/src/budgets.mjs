// Size limits of the answer. The caller takes the smallest files first, so that a large file cannot
// crowd out the others.

// Budget for the lines of all files.
export class LineBudget {
  #remaining;
  #maxLineBytes;

  constructor({ linesBytes, lineBytes }) {
    this.#remaining = linesBytes;
    this.#maxLineBytes = lineBytes;
  }

  // Returns the added and removed lines that fit, and whether they are complete.
  take({ added, removed }) {
    const result = { added_lines: [], removed_lines: [], complete: true };
    for (const [number, line] of added) {
      const push = (text) => result.added_lines.push([number, text]);
      if (!this.#takeLine(line, result, push)) return result;
    }
    for (const line of removed) {
      const push = (text) => result.removed_lines.push(text);
      if (!this.#takeLine(line, result, push)) return result;
    }
    return result;
  }

  #takeLine(line, result, push) {
    const text = cut(line, this.#maxLineBytes);
    // In the answer, a line of JSON takes at most 12 bytes more, for its number.
    this.#remaining -= Buffer.byteLength(JSON.stringify(text), "utf8") + 12;
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
  #maxBytes;

  constructor({ diffBytes }) {
    this.#remaining = this.#maxBytes = diffBytes;
  }

  // Returns the printed patch if it fits, else a printed note if that fits, else "".
  take(patch, print) {
    const note = `left out: the diff has more than ${this.#maxBytes} bytes`;
    const patchWithoutHunks = { ...patch, hunks: null, note };
    return this.#takeText(print(patch)) ?? this.#takeText(print(patchWithoutHunks)) ?? "";
  }

  // Returns the text, or null if it does not fit.
  #takeText(text) {
    const bytes = Buffer.byteLength(text, "utf8");
    if (bytes <= this.#remaining) {
      this.#remaining -= bytes;
      return text;
    }
    this.truncated = true;
    return null;
  }
}

// Returns the first `maxBytes` bytes of the text in UTF-8, or fewer: it does not split a character.
function cut(text, maxBytes) {
  // Three bytes a UTF-16 unit are the maximum, so a short text need not be measured.
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text, "utf8") <= maxBytes) return text;
  const encoded = Buffer.from(text.slice(0, maxBytes), "utf8");
  let end = maxBytes;
  while (end > 0 && (encoded[end] & 0xc0) === 0x80) end--;
  return encoded.toString("utf8", 0, end);
}
