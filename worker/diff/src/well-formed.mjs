// JSON can hold halves of characters ("\ud800"), which no UTF-8 can: they become U+FFFD.
const DEPTH = 100; // of nested objects; whoever reads the answer may do so by recursion

export function wellFormed(value, depth = DEPTH) {
  if (typeof value === "string") return Buffer.from(value, "utf8").toString("utf8");
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) throw new RangeError("nested too deep");
  if (Array.isArray(value)) return value.map((item) => wellFormed(item, depth - 1));
  const pairs = Object.entries(value);
  return Object.fromEntries(pairs.map(([k, v]) => [wellFormed(k), wellFormed(v, depth - 1)]));
}
