// Parser for the request. It accepts only packages from a registry.
import npa from "npm-package-arg";
import validateName from "validate-npm-package-name";
import { DiffError } from "./error.mjs";

const LIMITS = [
  "tarballBytes", // of each tarball, as downloaded
  "unpackedBytes", // of each tarball, unpacked
  "files", // in each tarball
  "lineBytes", // of one line; a longer one is cut
  "linesBytes", // of all lines in the answer
  "diffBytes", // of the diff's text
  "fetchSeconds", // for all downloads
];

export function readRequest(text) {
  const request = parse(text);
  const { registry = null, token = null, hosts = [], limits } = request;
  if (token !== null && !isHeaderText(token)) {
    refuse("token must be printable ASCII without spaces");
  }
  for (const name of LIMITS) {
    if (!Number.isSafeInteger(limits?.[name]) || limits[name] < 1) {
      refuse(`limits.${name} must be an integer above 0`);
    }
  }
  for (const name of Object.keys(limits)) {
    if (!LIMITS.includes(name)) refuse(`limits contains an unknown key, ${quoted(name)}`);
  }
  if (!Array.isArray(hosts) || !hosts.every(isHostPattern)) {
    refuse('hosts must be a list of names such as "host", "host:port" or "*.domain"');
  }
  const name = packageName(request.package);
  const from = version(name, request.from, "from");
  const to = version(name, request.to, "to");
  return { from, to, ...access(registry, token), hosts, limits };
}

function parse(text) {
  let request;
  try {
    request = JSON.parse(text);
  } catch {
    refuse("the request is not JSON");
  }
  if (typeof request !== "object" || request === null) refuse("the request is not a JSON object");
  return request;
}

function packageName(name) {
  if (typeof name !== "string") refuse("package must be the name of a package");
  // npm allows a leading hyphen, but a program could take it for an option
  if (name.startsWith("-") || !validateName(name).validForOldPackages) {
    refuse(`${quoted(name)} is not the name of a package`);
  }
  return name;
}

// Accepts a version, range or dist-tag; refuses a path, URL, alias or repository.
function version(name, wanted, key) {
  if (typeof wanted !== "string" || wanted.trim() === "" || wanted.startsWith("-")) {
    refuse(`${key} must be a version, a range or a dist-tag`);
  }
  let spec;
  try {
    spec = npa.resolve(name, wanted);
  } catch {
    // a tag with characters that a URL cannot contain
  }
  if (!["version", "range", "tag"].includes(spec?.type)) {
    refuse(`${key} must be a version, a range or a dist-tag, not ${quoted(wanted)}`);
  }
  return spec;
}

// Returns the registry's address without credentials, and the credentials: the token if it is set.
function access(registry, token) {
  if (registry === null) return { registry, credentials: bearer(token) };
  let url;
  try {
    url = new URL(registry);
  } catch {
    refuse("registry must be an http:// or https:// address"); // not shown: it may hold a password
  }
  if (!["http:", "https:"].includes(url.protocol)) refuse("registry must be http:// or https://");
  const credentials = bearer(token) ?? basic(url);
  const address = `${url.origin}${url.pathname.replace(/\/*$/, "/")}`;
  return { registry: address, credentials };
}

const bearer = (token) => (token === null ? null : { key: "_authToken", value: token });

function basic({ username, password }) {
  if (username === "" && password === "") return null;
  const pair = `${unescaped(username)}:${unescaped(password)}`;
  return { key: "_auth", value: Buffer.from(pair, "utf8").toString("base64") };
}

function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a single % stands for itself
  }
}

const isHostPattern = (text) =>
  typeof text === "string" && /^(\*\.)?[a-z0-9_.:[\]-]{1,260}$/.test(text);
const isHeaderText = (text) => typeof text === "string" && /^[\x21-\x7e]+$/.test(text);
const quoted = (text) => JSON.stringify(text.slice(0, 100));

function refuse(message) {
  throw new DiffError("bad_request", message);
}
