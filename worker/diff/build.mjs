// Bundles src/ and its npm packages into one file, dist/diff.cjs. Also writes the packages' licences,
// and a package.json (name, version, licence) of each: scanners and `./inv verify` read them to list
// the bundle's contents. Any warning fails the build.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { build } from "esbuild";

// Packages that pacote uses for git repositories, local folders, signatures, its cache and unpacking
// to disk. src/ uses none of these features: request.mjs accepts only packages from a registry.
// Excluded code cannot run and need not be loaded.
const EXCLUDED = [
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
// An optional import, for documents that are not UTF-8. npm's documents are.
const OPTIONAL = ["encoding"];

// libnpmdiff computes patches without a limit. In the bundle it only prints those of src/patch.mjs.
const DIFF_ENGINE = { importer: /node_modules\/libnpmdiff\//, path: resolve("src/patch.mjs") };

const replace = {
  name: "replace",
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(${[...EXCLUDED, ...OPTIONAL].join("|")})$`);
    onResolve({ filter }, ({ path }) => ({ path, namespace: "excluded" }));
    onResolve({ filter: /^diff$/ }, ({ importer }) =>
      DIFF_ENGINE.importer.test(importer) ? { path: DIFF_ENGINE.path } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "excluded" }, () => ({ contents: "module.exports = {};" }));
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
  minifyWhitespace: true, // but keep names, so that stack traces are readable
  legalComments: "none", // LICENSES.txt contains them
  metafile: true,
  plugins: [replace],
});
if (warnings.length > 0) process.exit(1);

const [{ inputs }] = Object.values(metafile.outputs);
const folderOf = (path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0];
const folders = new Set(Object.keys(inputs).map(folderOf).filter(Boolean));
const licences = [...folders].sort().map(licenceText);
writeFileSync("dist/LICENSES.txt", licences.join(`\n${"-".repeat(72)}\n\n`));
for (const folder of folders) writeRecord(folder);

function manifest(folder) {
  return JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
}

function writeRecord(folder) {
  const { name, version, license } = manifest(folder);
  const target = `dist/${/node_modules\/.*$/.exec(folder)[0]}`;
  mkdirSync(target, { recursive: true });
  writeFileSync(`${target}/package.json`, `${JSON.stringify({ name, version, license })}\n`);
}

function licenceText(folder) {
  const { name, version, license } = manifest(folder);
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  if (files.length === 0 && typeof license !== "string") throw new Error(`${name} has no licence`);
  const texts = files.map((file) => readFileSync(`${folder}/${file}`, "utf8").trim());
  return [`${name} ${version}`, `Licence: ${license}`, ...texts].join("\n\n") + "\n";
}
