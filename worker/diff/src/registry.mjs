// Registry client: fetches the package's document, then the tarball of each version.
import { getAgent } from "@npmcli/agent";
import registryFetch from "npm-registry-fetch";
import defaults from "npm-registry-fetch/lib/default-opts.js";
import pacote from "pacote";
import { DiffError, withSubject } from "./error.mjs";
import { wellFormed } from "./well-formed.mjs";

// The largest document of a well-known package has about 21 MB, and three times as much parsed.
const MAX_DOCUMENT_BYTES = 32 * 1024 * 1024;
// Never requested from a proxy, whose loopback is another machine's.
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

// Returns the metadata and tarball of both versions, within limits.fetchSeconds.
export function fetchBoth(request) {
  const { from, to, limits } = request;
  const options = fetchOptions(request);
  return within(limits.fetchSeconds, from.name, async () => {
    const document = await withSubject(from.name, () => fetchDocument(from, options));
    const fetchOne = (spec) => fetchVersion(spec, document, options, limits.tarballBytes);
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

function fetchOptions({ registry, credentials, limits }) {
  const address = registry ?? defaults.registry;
  const { host, origin, pathname } = new URL(address);
  return {
    registry: address,
    ...(credentials && { [`//${host}${pathname}:${credentials.key}`]: credentials.value }),
    agent: (url) => guardedAgent(url, origin),
    timeout: limits.fetchSeconds * 1000,
    fetchRetries: 0, // the worker retries the job later
    fullMetadata: true,
    preferOnline: true, // do not read a cache
  };
}

// pacote sends credentials to the registry's host, also after a redirect to another port of that
// host, or from HTTPS to HTTP. This agent removes them if the origin differs.
function guardedAgent(url, origin) {
  const noProxy = [process.env.NO_PROXY ?? process.env.no_proxy ?? "", ...LOOPBACK].join();
  const agent = getAgent(url, { noProxy });
  const addRequest = Object.getPrototypeOf(agent).addRequest;
  agent.addRequest = (request, options) => {
    const target = new URL(`${request.protocol}//${request.getHeader("host")}`);
    if (target.origin !== origin) request.removeHeader("authorization");
    return addRequest.call(agent, request, options);
  };
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

async function fetchVersion(spec, document, options, limit) {
  // Without times: npm leaves out a version from the future, and clocks may differ.
  const timeless = { ...document, time: undefined };
  const packumentCache = { has: () => true, get: () => timeless };
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
  if (!/^https?:\/\//.test(dist.tarball)) {
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
  const reason = status ?? error.code ?? error.type ?? error.name;
  return unavailable(`${subject} could not be fetched (${reason})`);
}

const unavailable = (message) => new DiffError("registry_unavailable", message, true);
