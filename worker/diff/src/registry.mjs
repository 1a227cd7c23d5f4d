// Registry client: fetches the package's document, then the tarball of each version.
import { getAgent } from "@npmcli/agent";
import registryFetch from "npm-registry-fetch";
import defaults from "npm-registry-fetch/lib/default-opts.js";
import pacote from "pacote";
import { DiffError, withSubject } from "./error.mjs";
import { Hosts, refusal } from "./hosts.mjs";
import { wellFormed } from "./well-formed.mjs";

// The largest document of a well-known package has about 21 MB, and three times as much parsed.
const MAX_DOCUMENT_BYTES = 32 * 1024 * 1024;
// Of an address or a checksum. npm's libraries look for an address's credentials in time that grows
// with the square of its length.
const MAX_TEXT_CHARS = 4096;
// Never requested from a proxy, whose loopback is another machine's.
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

// Returns the metadata and tarball of both versions, within limits.fetchSeconds.
export function fetchBoth(request) {
  const { from, to, limits } = request;
  const registry = request.registry ?? defaults.registry;
  const hosts = new Hosts(registry, request.hosts);
  const options = fetchOptions(request, registry, hosts);
  return within(limits.fetchSeconds, from.name, async () => {
    const document = await withSubject(from.name, () => fetchDocument(from, options));
    const fetchOne = (spec) => fetchVersion(spec, document, options, hosts, limits.tarballBytes);
    return Promise.all([fetchOne(from), fetchOne(to)]);
  });
}

function within(seconds, name, work) {
  let timer;
  const timeout = new Promise((_, reject) => {
    const error = unavailable(`${name}: not fetched within ${seconds} seconds`);
    timer = setTimeout(reject, seconds * 1000, error);
  });
  return Promise.race([work(), timeout]).finally(() => clearTimeout(timer));
}

function fetchOptions({ credentials, limits }, registry, hosts) {
  const { host, pathname } = new URL(registry);
  return {
    registry,
    ...(credentials && { [`//${host}${pathname}:${credentials.key}`]: credentials.value }),
    agent: (url) => guardedAgent(url, hosts),
    timeout: limits.fetchSeconds * 1000,
    fetchRetries: 0, // the worker retries the job later
    fullMetadata: true,
    preferOnline: true, // do not read a cache
  };
}

// Called for each request, redirects included. Refuses addresses that are not allowed.
// pacote sends credentials to the registry's host, also after a redirect to another port of that
// host, or from HTTPS to HTTP. This agent removes them if the origin differs.
function guardedAgent(url, hosts) {
  hosts.check(new URL(url));
  const noProxy = [process.env.NO_PROXY ?? process.env.no_proxy ?? "", ...LOOPBACK].join();
  const agent = getAgent(url, { noProxy });
  const { addRequest, connect } = Object.getPrototypeOf(agent);
  // One agent serves several hosts, so both methods look at the request that they get.
  const target = (request) => new URL(`${request.protocol}//${request.getHeader("host")}`);
  agent.addRequest = (request, options) => {
    if (!hosts.isRegistry(target(request))) request.removeHeader("authorization");
    return addRequest.call(agent, request, options);
  };
  agent.connect = (request, options) =>
    connect.call(agent, request, { ...options, ...hosts.check(target(request)) });
  return agent;
}

async function fetchDocument(spec, options) {
  let document;
  try {
    const response = await registryFetch(`/${spec.escapedName}`, {
      ...options,
      headers: { accept: "application/json" },
    });
    const chunks = await collect(response.body, MAX_DOCUMENT_BYTES, "the registry's document");
    document = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw toDiffError(error, "the registry's document");
  }
  if (typeof document?.versions !== "object" || document.versions === null) {
    throw unavailable("the registry's answer is not a package document");
  }
  return document;
}

async function fetchVersion(spec, document, options, hosts, limit) {
  const packumentCache = { has: () => true, get: () => choosable(document, hosts) };
  const fetcher = new pacote.RegistryFetcher(spec, { ...options, packumentCache });
  const choose = () => chooseVersion(fetcher, spec, document.versions);
  const manifest = await withSubject(spec.name, choose);
  const { version } = manifest;
  return withSubject(`${spec.name} ${version}`, async () => ({
    ...describe(document, version),
    integrity: validIntegrity(manifest),
    tarball: await fetchTarball(fetcher, limit),
  }));
}

// Returns the parts of the document that npm needs to choose a version, so that it does not
// normalize the others, which are untrusted and large. Without times: npm leaves out a version from
// the future, and clocks may differ.
function choosable(document, hosts) {
  const entries = Object.entries(document.versions).map(([key, entry]) => {
    if (typeof entry !== "object" || entry === null) return [key, entry];
    const { name, version, deprecated, dist } = entry;
    const engines = { node: shortText(entry.engines?.node) ?? "*" };
    const isDeprecated = Boolean(deprecated);
    return [key, { name, version, engines, deprecated: isDeprecated, dist: trimmed(dist, hosts) }];
  });
  const { name, policyRestrictions } = document;
  const versions = Object.fromEntries(entries);
  return { name, policyRestrictions, versions, "dist-tags": document["dist-tags"] };
}

function trimmed(dist, hosts) {
  if (typeof dist !== "object" || dist === null) return dist;
  const { tarball, integrity, shasum } = dist;
  return {
    tarball: isWebAddress(tarball) ? hosts.tarball(tarball) : undefined,
    integrity: isShort(integrity) ? integrity : undefined,
    shasum: isShort(shasum) ? shasum : undefined,
  };
}

const isShort = (text) => typeof text === "string" && text.length <= MAX_TEXT_CHARS;

const isWebAddress = (text) =>
  isShort(text) && /^https?:\/\//.test(text) && URL.canParse(text);

// Returns the manifest of the version that npm would choose.
async function chooseVersion(fetcher, spec, versions) {
  const wanted = JSON.stringify(spec.rawSpec.slice(0, 100));
  const invalid = new DiffError("bad_manifest", `the registry's entry for ${wanted} is invalid`);
  let manifest;
  try {
    manifest = await fetcher.manifest();
  } catch (error) {
    if (!["ETARGET", "ENOVERSIONS"].includes(error.code)) throw invalid;
    throw new DiffError("no_such_version", `there is no version ${wanted}`);
  }
  if (typeof manifest.version !== "string" || !Object.hasOwn(versions, manifest.version)) {
    throw invalid;
  }
  return manifest;
}

function describe(document, version) {
  const entry = document.versions[version];
  return {
    version,
    published: shortText(document.time?.[version]),
    publisher: shortText(entry?._npmUser?.name),
    provenance: Boolean(entry?.dist?.attestations?.provenance),
  };
}

const shortText = (value) => (typeof value === "string" ? wellFormed(value).slice(0, 300) : null);

function validIntegrity({ _integrity: integrity, dist }) {
  if (!/(^|\s)sha(1|256|384|512)-/.test(integrity ?? "")) {
    throw new DiffError("integrity", "the registry states no checksum of the tarball");
  }
  if (!isWebAddress(dist.tarball)) {
    throw new DiffError("bad_manifest", "the registry states no http(s):// address of the tarball");
  }
  return integrity;
}

// Returns the tarball's chunks, verified against its integrity.
async function fetchTarball(fetcher, limit) {
  try {
    return await fetcher.tarballStream((stream) =>
      collect(stream, limit, "the tarball").catch((error) => {
        throw toDiffError(error, "the tarball"); // here, because pacote would retry some errors
      }),
    );
  } catch (error) {
    throw toDiffError(error, "the tarball");
  }
}

// Returns the stream's chunks. Joining them would need twice the memory for a moment.
function collect(stream, limit, subject) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    stream.on("error", reject);
    stream.on("end", () => resolve(chunks));
    stream.on("data", (chunk) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else reject(new DiffError("too_large", `${subject} has more than ${limit} bytes`));
    });
  });
}

function toDiffError(error, subject) {
  if (error instanceof DiffError) return error;
  if (error.code === "forbidden_address") return refusal(error.detail); // in a library's error
  const status = /^E([45]\d\d)$/.exec(error.code)?.[1];
  if (status === "401" || status === "403") {
    return new DiffError("unauthorized", `the registry refuses access to ${subject} (${status})`);
  }
  if (status === "404" || status === "410") {
    return new DiffError("not_found", `${subject} does not exist (${status})`);
  }
  if (error.code === "EINTEGRITY") {
    return new DiffError("integrity", `${subject} does not match the registry's checksum`);
  }
  if (REDIRECT_CODES.has(error.code) || error.message === NOT_WEB) {
    return new DiffError("bad_redirect", `${subject}: the registry redirects endlessly or to nowhere`);
  }
  if (CERTIFICATE_CODE.test(error.code)) {
    const message = `${subject}: the certificate of its host is not trusted (${error.code})`;
    return new DiffError("bad_certificate", message);
  }
  if (PROTOCOL_CODE.test(error.code)) {
    const message = `${subject}: its host does not speak the address's protocol (${error.code})`;
    return new DiffError("bad_protocol", message);
  }
  const reason = status ?? error.code ?? error.type ?? error.name;
  return unavailable(`${subject} could not be fetched (${reason})`);
}

// Of make-fetch-happen; the last one is of `new URL`.
const REDIRECT_CODES = new Set(["EINVALIDREDIRECT", "EMAXREDIRECT", "ERR_INVALID_URL"]);
const NOT_WEB = "Only HTTP(S) protocols are supported"; // minipass-fetch's TypeError
// OpenSSL's names of certificate errors, as Node reports them, and Node's own.
const CERTIFICATE_CODE =
  /CERT|^(UNABLE_TO_GET_(ISSUER|CRL)|CRL_|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)/;
const PROTOCOL_CODE = /^(HPE_|EPROTO$|ERR_SSL_|ERR_TLS_|ERR_HTTP)/;

const unavailable = (message) => new DiffError("registry_unavailable", message);
