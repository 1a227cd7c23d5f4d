// The bytes of a gzip file, unpacked as they are asked for, up to a bound.
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Refusal } from "./error.mjs";

const NOTHING = Buffer.alloc(0);

export class Unpacked {
  #chunks;
  #chunk = NOTHING;
  #limit;
  #total = 0;

  constructor(chunks, limit) {
    const gunzip = createGunzip({ chunkSize: 64 * 1024 });
    this.#chunks = Readable.from(chunks).pipe(gunzip)[Symbol.asyncIterator]();
    this.#limit = limit;
  }

  // Returns the next bytes, at most so many; null at the end.
  async some(most) {
    if (this.#chunk.length === 0 && !(await this.#fill())) return null;
    const part = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  // Returns exactly so many bytes, or less where the file ends before.
  async exactly(length) {
    const parts = [];
    let missing = length;
    while (missing > 0) {
      const part = await this.some(missing);
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
      throw new Refusal("bad_gzip", `the tarball is no whole gzip file (${error.code})`);
    }
    if (next.done) return false;
    this.#chunk = next.value;
    this.#total += next.value.length;
    if (this.#total > this.#limit) {
      throw new Refusal("too_large", `the tarball unpacks to more than ${this.#limit} bytes`);
    }
    return true;
  }
}
