"""Registry client that verifies the digest of every manifest and blob that it reads.

Protocol: OCI distribution specification 1.1. The registry is not trusted: sizes, times, redirects
and the destinations of credentials are bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from imageproof.errors import ImageDamaged, RegistryUnavailable
from imageproof.registry import transport
from imageproof.registry.authorization import Authorization
from imageproof.registry.manifest import (
    HINT_PUSH_AGAIN,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Manifest,
    require_supported,
)
from imageproof.registry.reference import Reference, is_digest
from imageproof.terminal_text import strip_escapes

if TYPE_CHECKING:
    import httpx

MAX_DOCUMENT_BYTES = 1 << 22  # of a manifest: registries refuse larger ones
MAX_REDIRECTS = 5


@dataclass
class _Request:
    """Request that may be sent several times, each time changed by the response before."""

    method: str
    url: httpx.URL
    scopes: Sequence[str]
    headers: Mapping[str, str]
    content: bytes | Iterable[bytes] | None
    may_authorize: bool  # False after the first 401, and for a body that can be sent only once


class Registry:
    """Connection to one registry, as a context manager. `path`: a repository in it.

    Every method raises RegistryUnavailable if the registry does not answer or refuses the request.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._client = transport.create_client(host)
        self._authorization = Authorization(host, self._client)
        self._base = f"{transport.scheme(host)}://{host}/v2"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def manifest(self, path: str, tag_or_digest: str) -> Manifest | None:
        """Return the manifest or index of a tag or digest; None if the registry has none.

        Raises:
            ImageDamaged: It is not a supported manifest, or its digest is wrong.
        """
        action = f"reading {self._reference(path, tag_or_digest)}"
        accept = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}
        with self._open(
            "GET", path, f"manifests/{tag_or_digest}", action, headers=accept
        ) as response:
            if response.status_code == 404:
                return None
            self._require_success(response, action)
            raw = b"".join(transport.bounded_body(response, MAX_DOCUMENT_BYTES, action))
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
            stated_digest = response.headers.get("Docker-Content-Digest")
        manifest = Manifest(media_type, raw)
        require_supported(manifest, action)
        expected = tag_or_digest if is_digest(tag_or_digest) else stated_digest
        if expected is not None and expected != manifest.digest:
            raise _damaged(action, expected, manifest.digest)
        return manifest

    def _reference(self, path: str, tag_or_digest: str) -> Reference:
        reference = Reference(self.host, path)
        if is_digest(tag_or_digest):
            return reference.with_digest(tag_or_digest)
        return replace(reference, tag=tag_or_digest)

    def blob(self, path: str, wanted: Descriptor, kind: str = "a blob") -> Iterator[bytes]:
        """Yield a blob in chunks. Read it to its end: only then is its digest verified.

        Args:
            path: The repository.
            wanted: The blob's digest and size.
            kind: What the blob is, for errors.

        Raises:
            ImageDamaged: The registry has no such blob, or its size or digest is wrong.
        """
        action = f"reading {kind} of {Reference(self.host, path)}"
        sha, size = hashlib.sha256(), 0
        with self._open("GET", path, f"blobs/{wanted.digest}", action) as response:
            if response.status_code == 404:
                cause = f"the registry has no {wanted.digest}"
                raise ImageDamaged(action, cause, hint=HINT_PUSH_AGAIN)
            self._require_success(response, action)
            for chunk in transport.bounded_body(response, wanted.size, action):
                sha.update(chunk)
                size += len(chunk)
                yield chunk
        if size != wanted.size or f"sha256:{sha.hexdigest()}" != wanted.digest:
            raise _damaged(action, wanted.digest, f"sha256:{sha.hexdigest()}, {size:,} bytes")

    def has_blob(self, path: str, digest: str) -> bool:
        """Return whether the repository has a blob."""
        action = f"looking for a blob of {Reference(self.host, path)}"
        with self._open("HEAD", path, f"blobs/{digest}", action, push=True) as response:
            if response.status_code != 404:
                self._require_success(response, action)
            return response.status_code != 404

    def mount_blob(self, path: str, digest: str, source_path: str) -> bool:
        """Mount a blob from another repository of this registry. Return whether it is mounted."""
        action = f"writing a blob of {Reference(self.host, path)}"
        query = f"blobs/uploads/?mount={digest}&from={quote(source_path)}"
        with self._open("POST", path, query, action, push=True, mount_from=source_path) as response:
            self._require_success(response, action)
            return response.status_code == 201  # 202: the registry opened an upload instead

    def upload_blob(self, path: str, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Upload a blob; the registry verifies its digest."""
        action = f"writing a blob of {Reference(self.host, path)}"
        with self._open("POST", path, "blobs/uploads/", action, push=True) as response:
            self._require_success(response, action)
            location = self._location(response, action)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        url = location.copy_add_param("digest", blob.digest)
        with self._open(
            "PUT", path, url, action, headers=headers, push=True, content=chunks
        ) as response:
            self._require_success(response, action)

    def put_manifest(self, path: str, tag_or_digest: str, manifest: Manifest) -> None:
        """Write a manifest under a tag, or under its own digest.

        Raises:
            ImageDamaged: The registry stored it under another digest.
        """
        action = f"writing {self._reference(path, tag_or_digest)}"
        headers = {"Content-Type": manifest.media_type}
        with self._open(
            "PUT",
            path,
            f"manifests/{tag_or_digest}",
            action,
            headers=headers,
            push=True,
            content=manifest.raw,
        ) as response:
            self._require_success(response, action)
            stored_digest = response.headers.get("Docker-Content-Digest", manifest.digest)
        if stored_digest != manifest.digest:
            raise _damaged(action, manifest.digest, stored_digest)

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        path: str,
        endpoint: str | httpx.URL,
        action: str,
        *,
        headers: Mapping[str, str] | None = None,
        push: bool = False,
        mount_from: str = "",
        content: bytes | Iterable[bytes] | None = None,
    ) -> Generator[httpx.Response, None, None]:
        """Send a request, authorize it if needed, follow redirects, and yield the open response.

        Args:
            method: The HTTP method.
            path: The repository.
            endpoint: Part of the URL after the repository, or a whole URL.
            action: What is being done, for errors.
            headers: Headers beside those of authorization.
            push: Whether the request writes, for which it needs another permission.
            mount_from: Other repository that the request reads.
            content: The body; one that is not bytes can be sent only once.
        """
        import httpx

        request = _Request(
            method,
            httpx.URL(f"{self._base}/{path}/{endpoint}" if isinstance(endpoint, str) else endpoint),
            scopes=_scopes(path, push=push, mount_from=mount_from),
            headers={"Accept-Encoding": "identity", **(headers or {})},
            content=content,
            may_authorize=isinstance(content, bytes | None),
        )
        try:
            for _ in range(MAX_REDIRECTS + 2):  # the first request, and one after a 401
                with contextlib.closing(self._send(request)) as response:
                    if not self._prepare_next(request, response, action):
                        yield response
                        return
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise transport.connection_error(self.host, action, error) from error
        raise RegistryUnavailable(
            action,
            f"{self.host} redirects more than {MAX_REDIRECTS} times",
            hint="use the address that the registry redirects to",
        )

    def _send(self, request: _Request) -> httpx.Response:
        authorization = self._authorization.headers(request.url, request.scopes)
        http_request = self._client.build_request(
            request.method,
            request.url,
            headers={**request.headers, **authorization},
            content=request.content,
        )
        return self._client.send(http_request, stream=True)

    def _prepare_next(self, request: _Request, response: httpx.Response, action: str) -> bool:
        """Authorize the request after a 401, or change its URL after a redirect.

        Return False if it need not be sent again.
        """
        if response.status_code == 401 and request.may_authorize:
            request.may_authorize = False
            if self._authorization.authorize(response, request.scopes, action):
                return True
        if response.has_redirect_location and request.method in ("GET", "HEAD"):
            request.url = self._location(response, action)
            return True
        return False

    def _location(self, response: httpx.Response, action: str) -> httpx.URL:
        """Return the URL of the Location header. Raise RegistryUnavailable if it is plain http."""
        url = response.url.join(response.headers.get("Location", ""))
        if not transport.is_confidential(url):
            raise RegistryUnavailable(
                action,
                f"{self.host} redirects to {strip_escapes(url.host)} without encryption",
                hint="give that host a certificate, and the registry an https:// address of it",
            )
        return url

    def _require_success(self, response: httpx.Response, action: str) -> None:
        if not response.is_success:
            raise transport.response_error(self.host, action, response)


def _scopes(path: str, *, push: bool, mount_from: str) -> list[str]:
    """Return the permissions that a request needs (distribution, token scope documentation)."""
    scopes = [f"repository:{path}:{'pull,push' if push else 'pull'}"]
    return [*scopes, f"repository:{mount_from}:pull"] if mount_from else scopes


def _damaged(action: str, expected: str, actual: str) -> ImageDamaged:
    shown, sent = strip_escapes(expected)[:80], strip_escapes(actual)[:120]
    cause = f"{shown} is damaged: the registry sent {sent}"
    return ImageDamaged(action, cause, hint=HINT_PUSH_AGAIN)
