// Replaces lone surrogates ("\ud800"), which JSON can contain but UTF-8 cannot, by U+FFFD.
const MAX_DEPTH = 100; // of nested objects: a reader of the answer may use recursion

export function wellFormed(value, depth = MAX_DEPTH) {
  if (typeof value === "string") return Buffer.from(value, "utf8").toString("utf8");
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) throw new RangeError("nested too deep");
  if (Array.isArray(value)) return value.map((item) => wellFormed(item, depth - 1));
  const pairs = Object.entries(value);
  return Object.fromEntries(pairs.map(([k, v]) => [wellFormed(k), wellFormed(v, depth - 1)]));
}
