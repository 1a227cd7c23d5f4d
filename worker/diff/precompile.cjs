// Writes dist/diff.cache, for dist/start.cjs; where there is one, sees whether V8 takes it.
"use strict";
const { existsSync, writeFileSync } = require("node:fs");
const { setFlagsFromString } = require("node:v8");
const { begin, compiled } = require("./dist/start.cjs");

const cache = `${__dirname}/dist/diff.cache`;

if (!existsSync(cache)) {
  // All functions, not those that a run happens to call: it would call others each time, since
  // what a registry sends comes in pieces.
  setFlagsFromString("--no-lazy");
  const script = compiled();
  setFlagsFromString("--lazy"); // as a review has it; V8 compares the flags
  writeFileSync(cache, Buffer.concat([begin, script.createCachedData()]));
} else if (compiled().cachedDataRejected !== false) {
  process.stderr.write("V8 refuses dist/diff.cache\n");
  process.exit(1);
}
