"""Connection to a registry: TLS, timeouts, size limits, and errors in the registry's words."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.registry_errors import registry_error
from imageproof.documents import parse_json
from imageproof.errors import ImageDamaged, ImageproofError, RegistryUnavailable
from imageproof.redaction import redact
from imageproof.terminal_text import strip_escapes

if TYPE_CHECKING:
    import httpx

CERTIFICATES = Path("/etc/docker/certs.d")  # docs.docker.com/engine/security/certificates
IDLE_TIMEOUT_SECONDS = 30  # until the connection, or the next byte
CHUNK_BYTES = 1 << 18
# A response may take BASE_SECONDS plus its maximum size at the minimum rate.
BASE_SECONDS = 60
MIN_BYTES_PER_SECOND = 1 << 15
MAX_ERROR_BYTES = 1 << 16
MAX_ERROR_CHARACTERS = 200


def is_loopback(host: str) -> bool:
    """Return whether a host, without its port, is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def scheme(host: str) -> str:
    """Return http for a loopback host for which the engine has no certificate, else https."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return "http" if is_loopback(name) and not (CERTIFICATES / host).is_dir() else "https"


def is_confidential(url: httpx.URL) -> bool:
    """Return whether a request to the URL is encrypted or stays on this machine."""
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))


def create_client(host: str) -> httpx.Client:
    """Return an HTTP client for one registry. It follows no redirect by itself."""
    import httpx

    is_local = scheme(host) == "http"
    return httpx.Client(
        verify=False if is_local else _tls_context(host),
        timeout=IDLE_TIMEOUT_SECONDS,
        follow_redirects=False,
        trust_env=not is_local,  # a proxy would look for the registry on its own loopback
        headers={"User-Agent": "imageproof"},
    )


def _tls_context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()  # the system's CA bundle, or SSL_CERT_FILE
    try:
        for authority in sorted((CERTIFICATES / host).glob("*.crt")):
            context.load_verify_locations(authority)
        for certificate in sorted((CERTIFICATES / host).glob("*.cert")):
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    except OSError as error:  # includes ssl.SSLError
        action = f"reading the certificates in {CERTIFICATES / host}"
        raise RegistryUnavailable(
            action,
            str(error.strerror),
            hint="each file must be in PEM format, and each NAME.cert needs its NAME.key",
        ) from error
    return context


def bounded_body(response: httpx.Response, max_bytes: int, action: str) -> Iterator[bytes]:
    """Yield the body as it was sent, in chunks.

    Raises:
        ImageDamaged: The body has more than `max_bytes`.
        RegistryUnavailable: The body takes too long.
    """
    deadline = time.monotonic() + BASE_SECONDS + max_bytes / MIN_BYTES_PER_SECOND
    size, buffer = 0, bytearray()
    for part in response.iter_raw():
        size += len(part)
        if size > max_bytes:
            hint = "do not run this image: the registry sends other content than it announced"
            raise ImageDamaged(action, f"the body has more than {max_bytes:,} bytes", hint=hint)
        if time.monotonic() > deadline:
            raise RegistryUnavailable(
                action,
                "the registry sends it too slowly",
                hint="try again on a faster line, or with a registry that is nearer",
            )
        buffer += part
        if len(buffer) >= CHUNK_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def connection_error(host: str, action: str, error: Exception) -> RegistryUnavailable:
    """Return the error for a registry that does not answer, or stops in the middle of an answer."""
    reason = _excerpt(str(error)) or type(error).__name__
    if known := registry_error(action, reason, host):
        return known
    hint = f"is {host} reachable from this host, and does it use https? (http: loopback only)"
    return RegistryUnavailable(action, f"no valid answer from {host}: {reason}", hint=hint)


def response_error(host: str, action: str, response: httpx.Response) -> RegistryUnavailable:
    """Return the error for an unsuccessful response, with the registry's own message."""
    status = response.status_code
    hint = None
    if status in (401, 403):
        hint = f"`docker login {host}` as a user who has this permission"
    elif status == 429 or status >= 500:
        hint = "try again later: blobs that arrived are not transferred again"
    cause = f"{host} answered {status} {strip_escapes(response.reason_phrase)}"
    message = _error_message(response)
    return RegistryUnavailable(action, f"{cause}: {message}" if message else cause, hint=hint)


def _error_message(response: httpx.Response) -> str:
    """Return the codes and messages of an error body (distribution specification, error codes).

    "" for a body of another format.
    """
    try:
        body = b"".join(bounded_body(response, MAX_ERROR_BYTES, ""))
        errors: Any = parse_json(body)["errors"]
        messages = [f"{error.get('code', '')} {error.get('message', '')}" for error in errors]
    except (ImageproofError, ValueError, LookupError, TypeError, AttributeError):
        return ""
    return _excerpt("; ".join(messages))


def _excerpt(text: str) -> str:
    """Return the start of a foreign text, without control characters, secrets and URLs."""
    words = [word for word in strip_escapes(redact(text)).split() if "://" not in word]
    return " ".join(words)[:MAX_ERROR_CHARACTERS]
