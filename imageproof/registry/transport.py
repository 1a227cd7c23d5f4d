"""How a registry is reached: encrypted, by the machine's CAs and the engine's own for that host."""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.errors import plain
from imageproof.errors import ImageproofError, RegistryUnavailable, StackFailed
from imageproof.redaction import redact

if TYPE_CHECKING:
    import httpx

CERTIFICATES = Path("/etc/docker/certs.d")  # docs.docker.com/engine/security/certificates
TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 18
SECONDS = 60  # that any answer may take ...
BYTES_A_SECOND = 1 << 15  # ... and a long one longer, unless it comes more slowly than this
ERROR_BYTES = 1 << 16
WORDS = 200  # characters of somebody else's that an error shows


def is_loopback(host: str) -> bool:
    """Whether a host, without port, is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def scheme(host: str) -> str:
    """https; http on the loopback, unless the engine has a certificate for it."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return "http" if is_loopback(name) and not (CERTIFICATES / host).is_dir() else "https"


def is_private(url: httpx.URL) -> bool:
    """Whether what is sent there, and what comes back, can be read by nobody else."""
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))


def client(host: str) -> httpx.Client:
    """A client that follows nothing by itself, and sends nothing that it is not told to."""
    import httpx

    local = scheme(host) == "http"
    return httpx.Client(
        verify=_context(host) if not local else False,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=not local,  # a proxy has another loopback
        headers={"User-Agent": "imageproof"},
    )


def _context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()  # the system's bundle, or SSL_CERT_FILE
    try:
        for authority in sorted((CERTIFICATES / host).glob("*.crt")):
            context.load_verify_locations(authority)
        for own in sorted((CERTIFICATES / host).glob("*.cert")):
            context.load_cert_chain(own, own.with_suffix(".key"))
    except OSError as error:  # ssl.SSLError is one
        action = f"reading the certificates in {CERTIFICATES / host}"
        raise RegistryUnavailable(action, str(error.strerror)) from error
    return context


def bounded(answer: httpx.Response, most: int, action: str) -> Iterator[bytes]:
    """The body as it is sent, of no more than so many bytes, in no more than its time."""
    until = time.monotonic() + SECONDS + most / BYTES_A_SECOND
    size, held = 0, bytearray()
    for part in answer.iter_raw():
        size += len(part)
        if size > most:
            hint = "it is not what it says to be: do not run it"
            raise StackFailed(action, f"it has more than {most:,} bytes", hint=hint)
        if time.monotonic() > until:
            raise RegistryUnavailable(action, "the registry gives it too slowly")
        held += part
        if len(held) >= CHUNK:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def unreachable(host: str, action: str, error: Exception) -> RegistryUnavailable:
    """The error for a registry that does not answer, or stops in the middle."""
    said = _words(str(error)) or type(error).__name__
    hint = f"is {host} reachable from here, and does it speak https? (http: on the loopback only)"
    return RegistryUnavailable(action, f"{host} does not answer as it should: {said}", hint=hint)


def answered(host: str, action: str, answer: httpx.Response) -> RegistryUnavailable:
    """The error for a registry that says no, in its own words."""
    status = answer.status_code
    hint = None
    if status in (401, 403):
        hint = f"`docker login {host}`, as somebody who may do this"
    elif status == 429 or status >= 500:
        hint = "try again later: what is there already is not transferred again"
    said = f"{host} answered {status} {plain(answer.reason_phrase)}"
    words = _told(answer)
    return RegistryUnavailable(action, f"{said}: {words}" if words else said, hint=hint)


def _told(answer: httpx.Response) -> str:
    """The codes and messages of an error body (distribution specification, error codes)."""
    try:
        errors: Any = json.loads(b"".join(bounded(answer, ERROR_BYTES, "")))["errors"]
        said = [f"{error.get('code', '')} {error.get('message', '')}" for error in errors]
    except (ImageproofError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""
    return _words("; ".join(said))


def _words(text: str) -> str:
    """A few words of somebody else's: nothing that steers a terminal, no secret, no address."""
    words = [word for word in plain(redact(text)).split() if "://" not in word]
    return " ".join(words)[:WORDS]
