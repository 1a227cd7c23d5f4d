// Fetches from the registry: the package's document, then the tarball of each version.
import { getAgent } from "@npmcli/agent";
import registryFetch from "npm-registry-fetch";
import defaults from "npm-registry-fetch/lib/default-opts.js";
import pacote from "pacote";
import { about, Refusal } from "./error.mjs";
import { wellFormed } from "./well-formed.mjs";

// The largest document of a well-known package is some 21 MB; parsed it takes three times as much.
const DOCUMENT_BYTES = 32 * 1024 * 1024;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]; // a proxy's own is not this machine's

// Returns what is known of both versions, each with its tarball, within limits.fetchSeconds.
export function fetchBoth(request) {
  const { from, to, limits } = request;
  const options = fetchOptions(request);
  return within(limits.fetchSeconds, from.name, async () => {
    const document = await about(from.name, () => fetchDocument(from, options));
    const fetchOne = (spec) => fetchVersion(spec, document, options, limits.tarballBytes);
    return Promise.all([fetchOne(from), fetchOne(to)]);
  });
}

function within(seconds, name, work) {
  let timer;
  const late = new Promise((_, reject) => {
    const error = unavailable(`${name}: not fetched within ${seconds} seconds`);
    timer = setTimeout(reject, seconds * 1000, error);
  });
  return Promise.race([work(), late]).finally(() => clearTimeout(timer));
}

function fetchOptions({ registry, credentials, limits }) {
  const address = registry ?? defaults.registry;
  const { host, origin, pathname } = new URL(address);
  return {
    registry: address,
    ...(credentials && { [`//${host}${pathname}:${credentials.key}`]: credentials.value }),
    agent: (url) => guardedAgent(url, origin),
    timeout: limits.fetchSeconds * 1000,
    fetchRetries: 0, // whoever asked tries again, later
    fullMetadata: true,
    preferOnline: true, // no cache of this machine is read
  };
}

// pacote sends credentials to the registry alone, but where that redirects to another port, or from
// HTTPS to HTTP, on the same host name, they would go along.
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
    const chunks = await collect(response.body, DOCUMENT_BYTES, "the registry's document");
    document = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw refusal(error, "the registry's document");
  }
  if (typeof document?.versions !== "object" || document.versions === null) {
    throw unavailable("what the registry answers is no document of a package");
  }
  return document;
}

async function fetchVersion(spec, document, options, limit) {
  // without times, by which npm would leave a version out where the clocks differ
  const timeless = { ...document, time: undefined };
  const packumentCache = { has: () => true, get: () => timeless };
  const fetcher = new pacote.RegistryFetcher(spec, { ...options, packumentCache });
  const manifest = await about(spec.name, () => choose(fetcher, spec, document.versions));
  const { version } = manifest;
  return about(`${spec.name} ${version}`, async () => ({
    ...described(document, version),
    integrity: checkable(manifest),
    tarball: await fetchTarball(fetcher, limit),
  }));
}

// Returns the entry of the version that npm would choose.
async function choose(fetcher, spec, versions) {
  const wanted = JSON.stringify(spec.rawSpec.slice(0, 100));
  const unreadable = new Refusal("bad_manifest", `the registry's entry of ${wanted} is broken`);
  let manifest;
  try {
    manifest = await fetcher.manifest();
  } catch (error) {
    if (!["ETARGET", "ENOVERSIONS"].includes(error.code)) throw unreadable;
    throw new Refusal("no_such_version", `there is no version ${wanted}`);
  }
  if (typeof manifest.version !== "string" || !Object.hasOwn(versions, manifest.version)) {
    throw unreadable;
  }
  return manifest;
}

function described(document, version) {
  const entry = document.versions[version];
  return {
    version,
    published: text(document.time?.[version]),
    publisher: text(entry?._npmUser?.name),
    provenance: Boolean(entry?.dist?.attestations?.provenance),
  };
}

const text = (value) => (typeof value === "string" ? wellFormed(value).slice(0, 300) : null);

function checkable({ _integrity: integrity, dist }) {
  if (!/(^|\s)sha(1|256|384|512)-/.test(integrity ?? "")) {
    throw new Refusal("integrity", "the registry names no checksum of the tarball");
  }
  if (!/^https?:\/\//.test(dist.tarball)) {
    throw new Refusal("bad_manifest", "the registry names no http:// or https:// tarball");
  }
  return integrity;
}

// Returns the tarball's chunks, checked against its integrity.
async function fetchTarball(fetcher, limit) {
  try {
    return await fetcher.tarballStream((stream) =>
      collect(stream, limit, "the tarball").catch((error) => {
        throw refusal(error, "the tarball"); // in here, since pacote would fetch some once more
      }),
    );
  } catch (error) {
    throw refusal(error, "the tarball");
  }
}

// Returns the stream's chunks, not in one piece: for a moment it would take the space of two.
function collect(stream, limit, what) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    stream.on("error", reject);
    stream.on("end", () => resolve(chunks));
    stream.on("data", (chunk) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else reject(new Refusal("too_large", `${what} has more than ${limit} bytes`));
    });
  });
}

function refusal(error, what) {
  if (error instanceof Refusal) return error;
  const status = /^E([45]\d\d)$/.exec(error.code)?.[1];
  if (status === "401" || status === "403") {
    return new Refusal("unauthorized", `the registry refuses ${what} (${status})`);
  }
  if (status === "404" || status === "410") {
    return new Refusal("not_found", `${what} is not there (${status})`);
  }
  if (error.code === "EINTEGRITY") {
    return new Refusal("integrity", `${what} is not what the registry's checksum says`);
  }
  const why = status ?? error.code ?? error.type ?? error.name;
  return unavailable(`${what} could not be fetched (${why})`);
}

const unavailable = (message) => new Refusal("registry_unavailable", message, true);
