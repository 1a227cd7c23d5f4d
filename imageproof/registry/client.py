"""A strict client of a registry: manifests and blobs, each with the digest that it was asked by.

OCI distribution specification 1.1; tokens as in distribution's own (docs/spec/auth). A registry
need not be a friend: sizes, times, redirects and where credentials go are bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from imageproof.docker.errors import plain
from imageproof.errors import ImageproofError, RegistryUnavailable, StackFailed
from imageproof.registry import transport
from imageproof.registry.authorization import Authorization
from imageproof.registry.reference import DIGEST, Reference

if TYPE_CHECKING:
    import httpx

DOCUMENT_BYTES = 1 << 22  # of one manifest: registries take no more
BLOB_BYTES = 1 << 36  # an image of 64 GiB is no image
REDIRECTS = 5
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(DIGEST)
ANEW = "build or push the image anew"


@dataclass(frozen=True)
class Descriptor:
    """What names a blob: its digest, and how many bytes it has."""

    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, byte for byte: its digest is of these bytes."""

    media_type: str
    raw: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """By which it is named."""
        return f"sha256:{hashlib.sha256(self.raw).hexdigest()}"

    @cached_property
    def document(self) -> dict[str, Any]:
        """What it says."""
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests, of several platforms or with attestations."""
        return self.media_type in INDEXES


def descriptor(item: Any, action: str) -> Descriptor:
    """A descriptor in a manifest. Raises StackFailed for what is none, or beyond the bounds."""
    digest, size = (item.get("digest"), item.get("size")) if isinstance(item, dict) else ("", 0)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise StackFailed(action, "a digest in the manifest is none", hint=ANEW)
    if type(size) is not int or not 0 <= size <= BLOB_BYTES:
        raise StackFailed(action, f"a size in the manifest is beyond {BLOB_BYTES:,}", hint=ANEW)
    return Descriptor(digest, size)


class Registry:
    """One registry, as one user. To be closed."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._client = transport.client(host)
        self._authorization = Authorization(host, self._client)
        self._base = f"{transport.scheme(host)}://{host}/v2"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def manifest(self, path: str, name: str) -> Manifest | None:
        """The manifest or index of that tag or digest; None where there is none.

        Raises RegistryUnavailable, and StackFailed for one that is not what it is named by.
        """
        action = f"reading {self._named(path, name)}"
        accept = {"Accept": ", ".join((*INDEXES, *MANIFESTS))}
        with self._open("GET", path, f"manifests/{name}", action, accept) as answer:
            if answer.status_code == 404:
                return None
            self._judge(answer, action)
            raw = b"".join(transport.bounded(answer, DOCUMENT_BYTES, action))
            said = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            named = answer.headers.get("Docker-Content-Digest")
        found = Manifest(said, raw)
        _sound(found, action)
        wanted = {name} if _DIGEST.fullmatch(name) else {named} - {None}
        if wanted - {found.digest}:
            raise _damaged(action, wanted.pop() or "", found.digest)
        return found

    def _named(self, path: str, name: str) -> Reference:
        reference = Reference(self.host, path)
        return reference.by(name) if _DIGEST.fullmatch(name) else replace(reference, tag=name)

    def blob(self, path: str, wanted: Descriptor, what: str = "a blob") -> Iterator[bytes]:
        """A blob, a chunk at a time. To be read to the end: only then is it known to be whole.

        Raises RegistryUnavailable; StackFailed for another size or digest than was wanted.
        """
        action = f"reading {what} of {Reference(self.host, path)}"
        sha, size = hashlib.sha256(), 0
        with self._open("GET", path, f"blobs/{wanted.digest}", action) as answer:
            if answer.status_code == 404:
                raise StackFailed(action, f"the registry has no {wanted.digest}", hint=ANEW)
            self._judge(answer, action)
            for chunk in transport.bounded(answer, wanted.size, action):
                sha.update(chunk)
                size += len(chunk)
                yield chunk
        if size != wanted.size or f"sha256:{sha.hexdigest()}" != wanted.digest:
            raise _damaged(action, wanted.digest, f"sha256:{sha.hexdigest()}, {size:,} bytes")

    def has(self, path: str, digest: str) -> bool:
        """Whether a blob is there."""
        action = f"asking for a blob of {Reference(self.host, path)}"
        with self._open("HEAD", path, f"blobs/{digest}", action, push=True) as answer:
            if answer.status_code != 404:
                self._judge(answer, action)
            return answer.status_code != 404

    def mount(self, path: str, digest: str, source: str) -> bool:
        """Take a blob over from another repository of this registry; False where it does not."""
        action = f"writing a blob of {Reference(self.host, path)}"
        asked = f"blobs/uploads/?mount={digest}&from={quote(source)}"
        with self._open("POST", path, asked, action, push=True, source=source) as answer:
            self._judge(answer, action)
            return answer.status_code == 201  # 202: it has begun an upload in its place

    def upload(self, path: str, wanted: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write a blob, which the registry holds to its digest."""
        action = f"writing a blob of {Reference(self.host, path)}"
        with self._open("POST", path, "blobs/uploads/", action, push=True) as answer:
            self._judge(answer, action)
            place = self._elsewhere(answer, action)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(wanted.size)}
        place = place.copy_add_param("digest", wanted.digest)
        with self._open("PUT", path, place, action, headers, push=True, content=chunks) as answer:
            self._judge(answer, action)

    def put(self, path: str, name: str, manifest: Manifest) -> None:
        """Write a manifest under a tag, or its own digest. Raises StackFailed where the registry
        makes another one of it."""
        action = f"writing {self._named(path, name)}"
        headers = {"Content-Type": manifest.media_type}
        with self._open(
            "PUT", path, f"manifests/{name}", action, headers, push=True, content=manifest.raw
        ) as answer:
            self._judge(answer, action)
            made = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if made != manifest.digest:
            raise _damaged(action, manifest.digest, made)

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        path: str,
        place: str | httpx.URL,
        action: str,
        headers: Mapping[str, str] | None = None,
        *,
        push: bool = False,
        source: str = "",
        content: bytes | Iterable[bytes] | None = None,
    ) -> Generator[httpx.Response, None, None]:
        """An answer whose body is still to be read: authorized, after redirects."""
        import httpx

        url = httpx.URL(f"{self._base}/{path}/{place}") if isinstance(place, str) else place
        scopes = [f"repository:{path}:pull{',push' if push else ''}"]
        scopes += [f"repository:{source}:pull"] if source else []
        identity = {"Accept-Encoding": "identity", **(headers or {})}
        again = isinstance(content, bytes | None)  # a stream cannot be sent twice
        try:
            for _ in range(REDIRECTS + 2):
                known = self._authorization.of(url, scopes)
                request = self._client.build_request(
                    method, url, headers={**identity, **known}, content=content
                )
                answer = self._client.send(request, stream=True)
                with contextlib.closing(answer):
                    if answer.status_code == 401 and again:
                        again = False
                        if self._authorization.gain(answer, scopes, action):
                            continue
                    if answer.has_redirect_location and method in ("GET", "HEAD"):
                        url = self._elsewhere(answer, action)
                        continue
                    yield answer
                    return
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise transport.unreachable(self.host, action, error) from error
        raise self._refused(action, f"it redirects more than {REDIRECTS} times")

    def _elsewhere(self, answer: httpx.Response, action: str) -> httpx.URL:
        """Where an answer leads; nowhere that can be overheard."""
        url = answer.url.join(answer.headers.get("Location", ""))
        if not transport.is_private(url):
            raise self._refused(action, f"it leads to {plain(url.host)} without encryption")
        return url

    def _judge(self, answer: httpx.Response, action: str) -> None:
        """Raise RegistryUnavailable for an answer that is none."""
        if not answer.is_success:
            raise transport.answered(self.host, action, answer)

    def _refused(self, action: str, why: str) -> ImageproofError:
        return RegistryUnavailable(action, f"{self.host} cannot be followed: {why}")


def _sound(found: Manifest, action: str) -> None:
    """Raise StackFailed for what is no manifest that can be read here."""
    try:
        document = found.document
        said = document.get("mediaType") or found.media_type
    except (ValueError, RecursionError, AttributeError) as error:
        raise StackFailed(action, "the manifest is no JSON object", hint=ANEW) from error
    if said != found.media_type or said not in (*INDEXES, *MANIFESTS):
        raise StackFailed(
            action,
            f"its media type is {plain(str(said))[:100]!r} ({plain(found.media_type)[:100]!r})",
            hint="OCI images and Docker's schema 2 can be read: push it by a newer client",
        )


def _damaged(action: str, wanted: str, found: str) -> StackFailed:
    said = f"{plain(wanted)[:80]} is damaged: what is there is {plain(found)[:120]}"
    return StackFailed(action, said, hint=ANEW)
