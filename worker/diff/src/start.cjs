// Runs diff.cjs, which stands beside it, with what V8 made of it when the image was built: diff.cache,
// by ../precompile.cjs. So a review is spared compiling it. V8 refuses a cache of another version of
// itself, or of other flags; then it compiles, as it does where there is none. But one version of V8
// is in many of Node, and dies of a cache that another one of them wrote (seen: 20.18.0 and 20.20.2):
// so the cache begins with Node's version.
"use strict";
const { readFileSync } = require("node:fs");
const { Script } = require("node:vm");

const filename = `${__dirname}/diff.cjs`;
const begin = Buffer.from(`${process.version}\n`);

function compiled() {
  const source = `((require) => {\n${readFileSync(filename, "utf8")}\n})`;
  return new Script(source, { filename, lineOffset: -1, cachedData: cacheIfAny() });
}

function cacheIfAny() {
  try {
    const kept = readFileSync(`${__dirname}/diff.cache`);
    return kept.indexOf(begin) === 0 ? kept.subarray(begin.length) : undefined;
  } catch {
    return undefined;
  }
}

if (require.main === module) compiled().runInThisContext()(require);
else module.exports = { begin, compiled };
