// Hosts from which the document and the tarballs may come. The registry names the addresses, so they
// are untrusted: without this check, a package could make the worker send requests to any service of
// its own network.
import dns from "node:dns";
import { BlockList, isIPv6 } from "node:net";
import { DiffError } from "./error.mjs";

// Addresses that belong to no public host (IANA's special-purpose registries).
const SPECIAL = {
  ipv4: [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
  ],
  ipv6: [
    "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
    "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
  ],
};

const special = new BlockList();
for (const [family, subnets] of Object.entries(SPECIAL)) {
  for (const subnet of subnets) {
    const [network, length] = subnet.split("/");
    special.addSubnet(network, Number(length), family);
  }
}

// The same text for each refusal, so that it does not tell an open port from a closed one. The detail
// names the host, for the log.
export const refusal = (detail) =>
  new DiffError(
    "forbidden_address",
    "the registry names an address that is neither its own nor in ARTIFACTORY_HOSTS",
    detail,
  );

const refuse = ({ host }) => refusal(`host: ${host.slice(0, 260)}`);

// Allowed hosts: the registry's own, and patterns: "host", "host:port" (default: the protocol's), or
// "*.domain" for each public host below a domain.
export class Hosts {
  #registry;
  #exact;
  #domains;

  constructor(registry, patterns) {
    this.#registry = new URL(registry);
    this.#exact = new Set(patterns.filter((pattern) => !pattern.startsWith("*.")));
    this.#domains = patterns.filter((pattern) => pattern.startsWith("*."));
  }

  // Returns whether the address is the registry's own, or the same by HTTPS at the default port: some
  // registries redirect to it.
  isRegistry(url) {
    if (url.origin === this.#registry.origin) return true;
    const isUpgrade = this.#registry.protocol === "http:" && url.protocol === "https:";
    return isUpgrade && url.host === this.#registry.host && url.port === "";
  }

  // Throws unless a request may be sent to the address. Returns options for its connection.
  check(url) {
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    if (this.isRegistry(url)) return {};
    if (this.#exact.has(url.host) || this.#exact.has(`${url.hostname}:${port}`)) return {};
    const isBelow = (pattern) => url.host.endsWith(pattern.slice(1));
    if (!["http:", "https:"].includes(url.protocol) || !this.#domains.some(isBelow)) {
      throw refuse(url);
    }
    return { lookup: (name, ...rest) => lookupPublic(url, name, ...rest) };
  }

  // Returns a tarball's address as npm requests it: by HTTPS if it names the host of an HTTPS
  // registry. Servers behind a proxy often do not know that they are reached by HTTPS.
  tarball(address) {
    const url = new URL(address);
    const { protocol, hostname, port } = this.#registry;
    const isPlain = url.protocol === "http:" && protocol === "https:";
    if (!isPlain || url.hostname !== hostname) return address;
    if (url.port !== "" && url.port !== port) return address;
    url.protocol = "https:";
    url.port = port;
    return url.href;
  }
}

// Looks a name up for a connection, and refuses it if any of its addresses is not public. The
// connection uses this very answer, so a second one cannot differ.
function lookupPublic(url, name, options, callback) {
  dns.lookup(name, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error);
    if (addresses.some(isSpecial)) return callback(refuse(url));
    if (options.all) return callback(null, addresses);
    return callback(null, addresses[0].address, addresses[0].family);
  });
}

function isSpecial({ address }) {
  return special.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
