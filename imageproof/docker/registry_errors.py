"""Why a registry cannot be used, by the texts of Docker, BuildKit and Python, and what cures it."""

from __future__ import annotations

import re
from typing import NamedTuple

from imageproof.errors import RegistryUnavailable
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines


class _Reason(NamedTuple):
    pattern: re.Pattern[str]
    cause: str  # {host}: the registry, as far as the text names it
    hint: str


def _reason(pattern: str, cause: str, hint: str) -> _Reason:
    return _Reason(re.compile(pattern, re.IGNORECASE), cause, hint)


# The first match counts: a text about an unknown certificate also says that a request failed.
_REASONS = (
    _reason(
        r"toomanyrequests|too many requests|pull rate limit|status(?: code)?:? 429|answered 429",
        "{host} refuses more requests for now (429)",
        "try again later; `docker login {host}` raises most registries' limit, and a mirror of "
        "your own has none",
    ),
    _reason(
        r"gave HTTP response to HTTPS client|does not look like a TLS handshake"
        r"|wrong[ _]version[ _]number|record layer failure",
        "{host} speaks http, not https",
        "give the registry a certificate. For the engine alone, add {host} to "
        "`insecure-registries` in /etc/docker/daemon.json and restart it; `verify docker://...` "
        "and `promote` use http for a registry on this machine only",
    ),
    _reason(
        r"x509|certificate[ _]verify[ _]failed|failed to verify certificate|unknown authority"
        r"|bad certificate|certificate required",
        "the certificate of {host} is not accepted",
        "save the registry's CA certificate as /etc/docker/certs.d/{host}/ca.crt; behind a proxy "
        "that replaces certificates, add its CA to the machine's and restart the engine",
    ),
    _reason(
        r"no such host|server misbehaving|name resolution|name or service not known"
        r"|nodename nor servname|no address associated",
        "the name of {host} cannot be resolved",
        "check its spelling and this machine's DNS servers; behind a proxy, the engine needs the "
        "proxy's address (`docker info` shows it)",
    ),
    _reason(
        r"dial tcp .{1,200}connection refused|connection refused|connect: cannot assign",
        "no program answers at {host}",
        "check host and port, and whether the registry runs",
    ),
    _reason(
        r"i/o timeout|TLS handshake timeout|timeout exceeded while awaiting|request canceled"
        r"|context deadline exceeded|no route to host|network is unreachable|timed out"
        r"|connection reset by peer|proxyconnect",
        "{host} does not answer",
        "is it reachable from this machine? A firewall may drop the packets; behind a proxy, the "
        "engine needs the proxy's address (`docker info` shows it)",
    ),
    _reason(
        r"pull access denied|requested access to the resource is denied|unauthorized"
        r"|no basic auth credentials|authentication required|insufficient_scope"
        r"|authorization failed|\b(?:401|403) (?:unauthorized|forbidden)|answered 40[13]\b"
        r"|^denied\b|: denied\b",
        "{host} denies access, or has no such repository",
        "check the name; `docker login {host}` as a user who may use this repository",
    ),
    _reason(
        r"\b50[0234] (?:internal server error|bad gateway|service unavailable|gateway time-?out)"
        r"|unexpected (?:http )?status:? (?:code )?(?:from \w+ request )?.{0,200}\b50[0234]\b",
        "{host} has a failure of its own",
        "try again later; the registry's log tells more",
    ),
)
# A URL of the registry API, or the reference of the image.
_HOSTS = (
    re.compile(r"https?://(?P<host>[\w.:\[\]-]{1,255})/"),
    re.compile(r"lookup (?P<host>[\w.-]{1,255})"),
    re.compile(r"dial tcp (?P<host>[\w.:\[\]-]{1,255}):"),
    re.compile(
        r"(?:access denied for|metadata for|for|pushing) "
        r"(?P<host>(?:[\w-]{1,63}\.)+[\w-]{1,63}(?::\d{1,5})?|[\w-]{1,63}:\d{1,5}|localhost)/"
    ),
)
# Texts of the engine and BuildKit about a registry.
_CONTEXT = re.compile(
    r"/v2/|pull access denied|pull rate limit"
    r"|failed to (?:resolve source|resolve reference|do request|authorize|fetch|push)"
)
MAX_LINE_CHARACTERS = 1000
_DOCKER_HUB = ("auth.docker.io", "registry-1.docker.io", "index.docker.io")


def registry_error(action: str, output: str, host: str | None = None) -> RegistryUnavailable | None:
    """Return the error that a text about a registry describes; None if it describes none.

    Args:
        action: what is being done, for error messages.
        output: what the docker program, BuildKit or a library printed.
        host: the registry, if it is known.
    """
    for reason in _REASONS:
        if match := reason.pattern.search(output):
            host = host or host_of(output)
            # A login at Docker Hub has no host.
            named = reason.hint.replace("docker login {host}", "docker login") if not host else ""
            hint = (named or reason.hint).format(host=host or "HOST")
            start = output.rfind("\n", 0, match.start()) + 1
            line = output[start:].partition("\n")[0]
            tail = [redact(text) for text in clean_lines(line[:MAX_LINE_CHARACTERS])]
            cause = reason.cause.format(host=host or "the registry")
            return RegistryUnavailable(action, cause, tail=tail, hint=hint)
    return None


def names_registry(output: str) -> bool:
    """Return whether a text of the docker program is about a registry."""
    return bool(_CONTEXT.search(output))


def host_of(output: str) -> str | None:
    """Return the registry that a text names; None for Docker Hub, or if it names none."""
    for pattern in _HOSTS:
        if match := pattern.search(output):
            host = match["host"]
            return None if host in _DOCKER_HUB else host
    return None
