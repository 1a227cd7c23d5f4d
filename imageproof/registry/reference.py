"""The name of an image in a registry: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST.

The grammar is the one of distribution/reference. The host is always written: a name without one
means Docker Hub to the engine, and nothing here shall go there by a slip of the pen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from imageproof.errors import UsageError

DIGEST = r"sha256:[0-9a-f]{64}"
HINT = "as in HOST/NAME:TAG or HOST/NAME@sha256:…, with the host (and its port) written out"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})+|{_LABEL}(?=:)|localhost|\[[0-9a-fA-F:]+\])(?::\d{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
_TAG = r"\w[\w.-]{0,127}"
_REFERENCE = re.compile(
    rf"(?P<host>{_HOST})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{DIGEST}))?",
    re.ASCII,
)
_PREFIX = re.compile(rf"{_HOST}(?:/{_PATH})?", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """An image in a registry. A digest says which one; a tag may be moved at any time."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The name without tag and digest."""
        return f"{self.host}/{self.path}"

    def by(self, digest: str) -> Reference:
        """The image of that digest in the same repository."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        """As Docker writes it."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse(text: str, action: str = "reading the name of an image") -> Reference:
    """Raises UsageError for what is no such name; without tag and digest, `latest` is meant."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(action, f"{text!r} is no image in a registry", hint=HINT)
    parts = {name: part or "" for name, part in match.groupdict().items()}
    if not parts["tag"] and not parts["digest"]:
        parts["tag"] = "latest"
    return Reference(**parts)


def parse_prefix(text: str, action: str = "reading the command line") -> str:
    """HOST or HOST/PREFIX, below which images shall lie. Raises UsageError."""
    prefix = text.rstrip("/")
    if not _PREFIX.fullmatch(prefix):
        hint = "as in HOST/PREFIX, with the host (and its port) written out, without https://"
        raise UsageError(action, f"{text!r} is no place in a registry", hint=hint)
    return prefix


def parse_tag(text: str) -> str:
    """A tag alone. Raises UsageError."""
    if not re.fullmatch(_TAG, text, re.ASCII):
        hint = "letters, digits, `_`, `.` and `-`, 128 at most"
        raise UsageError("reading the command line", f"{text!r} is no tag", hint=hint)
    return text
