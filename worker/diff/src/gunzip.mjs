// Streaming reader for the content of a gzip file, up to a limit.
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DiffError } from "./error.mjs";

const EMPTY = Buffer.alloc(0);

export class Gunzip {
  #chunks;
  #chunk = EMPTY;
  #maxBytes;
  #total = 0;

  constructor(chunks, maxBytes) {
    const gunzip = createGunzip({ chunkSize: 64 * 1024 });
    this.#chunks = Readable.from(chunks).pipe(gunzip)[Symbol.asyncIterator]();
    this.#maxBytes = maxBytes;
  }

  // Returns the next bytes, at most `max`; null at the end.
  async atMost(max) {
    if (this.#chunk.length === 0 && !(await this.#fill())) return null;
    const part = this.#chunk.subarray(0, max);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  // Returns the next `length` bytes, or fewer at the end.
  async exactly(length) {
    const parts = [];
    let missing = length;
    while (missing > 0) {
      const part = await this.atMost(missing);
      if (part === null) break;
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  async #fill() {
    let next;
    try {
      next = await this.#chunks.next();
    } catch (error) {
      if (error.code === "Z_MEM_ERROR") throw error; // not the tarball's fault
      const message = `the tarball is not a complete gzip file (${error.code})`;
      throw new DiffError("bad_gzip", message);
    }
    if (next.done) return false;
    this.#chunk = next.value;
    this.#total += next.value.length;
    if (this.#total > this.#maxBytes) {
      const message = `the tarball unpacks to more than ${this.#maxBytes} bytes`;
      throw new DiffError("too_large", message);
    }
    return true;
  }
}
