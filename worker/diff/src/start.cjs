// Runs diff.cjs, which stands beside it, with what V8 made of it when the image was built: diff.cache,
// by ../precompile.cjs. So a review is spared compiling it. V8 refuses a cache of another version of
// itself, or of other flags; then it compiles, as it does where there is none.
"use strict";
const { readFileSync } = require("node:fs");
const { Script } = require("node:vm");

const filename = `${__dirname}/diff.cjs`;

function compiled() {
  const source = `((require) => {\n${readFileSync(filename, "utf8")}\n})`;
  return new Script(source, { filename, lineOffset: -1, cachedData: cacheIfAny() });
}

function cacheIfAny() {
  try {
    return readFileSync(`${__dirname}/diff.cache`);
  } catch {
    return undefined;
  }
}

if (require.main === module) compiled().runInThisContext()(require);
else module.exports = compiled;
