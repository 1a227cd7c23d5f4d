"""Every byte of a saved image, once: what is searched for in it, and what each file is.

Unlike the facts of imageproof.image.layers nothing of this is kept: it is for images that were built to
be compared and searched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from imageproof.image.stream import plain
from imageproof.image.tar import members

if TYPE_CHECKING:
    from imageproof.deep.canary import Search

Found = set[tuple[str, str]]  # (name of a canary, form)
Entry = tuple[Any, ...]  # all that makes a file what it is, in a tar


@dataclass(frozen=True)
class ScannedLayer:
    """The entries of a layer by path, and what was found in which of them ("": the tar itself)."""

    instruction: str
    entries: Mapping[str, Entry]
    found: Mapping[str, Found] = field(default_factory=dict)


@dataclass(frozen=True)
class Scan:
    """The layers of an image in their order, and what was found in its configuration."""

    layers: tuple[ScannedLayer, ...]
    configuration: Found


def scan(chunks: Iterable[bytes], search: Search) -> Scan:
    """Read a `docker save` stream of one image. Raises StackFailed, KeyError or ValueError for what
    is none."""
    documents: dict[str, Any] = {}
    layers: dict[str, ScannedLayer] = {}
    configuration: Found = set()
    for member, content in members(iter(chunks), "reading an image"):
        head = next(content, b"")
        if head[:1] in (b"{", b"["):
            text = b"".join((head, *content))
            configuration |= search.chunks([text])
            documents[member.name] = json.loads(text)
        elif head:
            layers[member.name] = _layer(plain(head, chain([head], content)), search)
    manifest = documents["manifest.json"][0]
    history = documents[manifest["Config"]].get("history") or []
    made = [step.get("created_by", "") for step in history if not step.get("empty_layer")]
    names = manifest["Layers"]
    if len(made) != len(names):
        made = [""] * len(names)
    ordered = tuple(
        ScannedLayer(by, layers[name].entries, layers[name].found)
        for name, by in zip(names, made, strict=True)
    )
    return Scan(ordered, configuration)


def _layer(chunks: Iterator[bytes], search: Search) -> ScannedLayer:
    entries: dict[str, Entry] = {}
    found: dict[str, Found] = {}
    for member, content in members(chunks, "reading a layer"):
        digest = hashlib.sha256()
        seen = search.chunks([f"{member.name}\0{member.linkname}".encode(errors="replace")])
        seen |= search.file(_hashed(content, digest))
        if seen:
            found[member.name] = seen
        entries[member.name] = (
            member.type, member.size, member.mode, member.uid, member.gid, member.linkname,
            member.mtime, digest.hexdigest(), tuple(sorted(member.pax_headers.items())),
        )  # fmt: skip
    return ScannedLayer("", entries, found)


def _hashed(chunks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def differing(first: ScannedLayer, second: ScannedLayer) -> tuple[str, ...]:
    """The paths that only one of two layers has, or that are not the same in both."""
    paths = first.entries.keys() | second.entries.keys()
    return tuple(sorted(p for p in paths if first.entries.get(p) != second.entries.get(p)))
