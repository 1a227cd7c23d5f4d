// Bundles src/ and the npm packages that it uses into one file, dist/diff.cjs. Beside it, writes the
// licences of these packages and a package.json (name, version, licence) for each, so that scanners
// and `./inv verify` list what the bundle contains. Any warning fails the build.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { build } from "esbuild";

// Parts of pacote for git repositories, local folders and signatures, for its cache and for unpacking
// to a disk, and what they would run; the request reader lets nothing but packages of a registry
// through, and src/ names no cache. What is not there cannot be run, and need not be loaded.
const ABSENT = [
  "@npmcli/git",
  "@npmcli/installed-package-contents",
  "@npmcli/promise-spawn",
  "@npmcli/run-script",
  "cacache",
  "fs-minipass",
  "glob",
  "npm-packlist",
  "sigstore",
  "tar",
];
// Optional, and tried first: for documents that are not UTF-8, which are none of npm's.
const OPTIONAL = ["encoding"];

// libnpmdiff makes each patch by itself, with no bound. Here it only prints those that were made.
const OWN_ENGINE = { importer: /node_modules\/libnpmdiff\//, path: resolve("src/patch.mjs") };

const replace = {
  name: "replace",
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(${[...ABSENT, ...OPTIONAL].join("|")})$`);
    onResolve({ filter }, ({ path }) => ({ path, namespace: "absent" }));
    onResolve({ filter: /^diff$/ }, ({ importer }) =>
      OWN_ENGINE.importer.test(importer) ? { path: OWN_ENGINE.path } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: "module.exports = {};" }));
  },
};

const { metafile, warnings } = await build({
  entryPoints: ["src/main.mjs"],
  outfile: "dist/diff.cjs",
  bundle: true,
  platform: "node",
  target: "node18.17",
  format: "cjs",
  minifySyntax: true,
  minifyWhitespace: true, // names stay: a stack trace must be readable
  legalComments: "none", // they stand in LICENSES.txt
  metafile: true,
  plugins: [replace],
});
if (warnings.length > 0) process.exit(1);

const [{ inputs }] = Object.values(metafile.outputs);
const folderOf = (path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0];
const folders = new Set(Object.keys(inputs).map(folderOf).filter(Boolean));
const licences = [...folders].sort().map(licence);
writeFileSync("dist/LICENSES.txt", licences.join(`\n${"-".repeat(72)}\n\n`));
for (const folder of folders) record(folder);

function manifest(folder) {
  return JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
}

function record(folder) {
  const { name, version, license } = manifest(folder);
  const place = `dist/${/node_modules\/.*$/.exec(folder)[0]}`;
  mkdirSync(place, { recursive: true });
  writeFileSync(`${place}/package.json`, `${JSON.stringify({ name, version, license })}\n`);
}

function licence(folder) {
  const { name, version, license } = manifest(folder);
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  if (files.length === 0 && typeof license !== "string") throw new Error(`${name} has no licence`);
  const texts = files.map((file) => readFileSync(`${folder}/${file}`, "utf8").trim());
  return [`${name} ${version}`, `Licence: ${license}`, ...texts].join("\n\n") + "\n";
}
