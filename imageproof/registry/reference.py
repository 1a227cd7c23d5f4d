"""Reference to an image in a registry: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST.

The grammar is that of distribution/reference, but the host is mandatory: without a host, the engine
would look on Docker Hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from imageproof.errors import UsageError

DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
HINT = "write HOST/NAME:TAG or HOST/NAME@sha256:…, with the host and its port"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})+|{_LABEL}(?=:)|localhost|\[[0-9a-fA-F:]+\])(?::\d{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
_TAG = r"\w[\w.-]{0,127}"
_REFERENCE = re.compile(
    rf"(?P<host>{_HOST})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{DIGEST_PATTERN}))?",
    re.ASCII,
)
_DIGEST = re.compile(DIGEST_PATTERN)
_ONLY_TAG = re.compile(_TAG, re.ASCII)
_PREFIX = re.compile(rf"{_HOST}(?:/{_PATH})?", re.ASCII)


def is_digest(text: str) -> bool:
    """Return whether a text is a digest as in OCI descriptors."""
    return _DIGEST.fullmatch(text) is not None


SCHEME = "docker://"  # as in skopeo and podman


@dataclass(frozen=True)
class Reference:
    """An image in a registry. A digest identifies one image; a tag can be moved at any time."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The reference without tag and digest."""
        return f"{self.host}/{self.path}"

    def with_digest(self, digest: str) -> Reference:
        """Return the reference to that digest in the same repository, without a tag."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        """Return the reference as Docker writes it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_reference(text: str, action: str = "reading an image reference") -> Reference:
    """Parse a reference. Without tag and digest, the tag is `latest`.

    Raises:
        UsageError: The text is not a reference to an image in a registry.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(action, f"{text!r} is not an image in a registry", hint=HINT)
    parts = {name: part or "" for name, part in match.groupdict().items()}
    if not parts["tag"] and not parts["digest"]:
        parts["tag"] = "latest"
    return Reference(**parts)


def parse_prefix(text: str, action: str = "reading the command line") -> str:
    """Return a registry prefix, HOST or HOST/PREFIX, without a trailing slash.

    Raises:
        UsageError: The text is not a registry prefix.
    """
    prefix = text.rstrip("/")
    if not _PREFIX.fullmatch(prefix):
        hint = "write HOST/PREFIX, with the host and its port, without https://"
        raise UsageError(action, f"{text!r} is not a registry prefix", hint=hint)
    return prefix


def parse_tag(text: str) -> str:
    """Return the tag. Raise UsageError if it is invalid."""
    if not _ONLY_TAG.fullmatch(text):
        hint = "a tag has at most 128 characters: letters, digits, `_`, `.` and `-`"
        raise UsageError("reading the command line", f"{text!r} is not a valid tag", hint=hint)
    return text


def is_remote(reference: str) -> bool:
    """Return whether a reference names an image in a registry: `docker://HOST/NAME:TAG`."""
    return reference.startswith(SCHEME)


def parse_remote(reference: str) -> Reference:
    """Parse `docker://HOST/NAME:TAG`. Raise UsageError if it is invalid."""
    return parse_reference(reference.removeprefix(SCHEME), f"verifying {reference}")
