"""The byte scan of a saved image: a fingerprint of every file, and the canaries found in it.

Unlike imageproof.image.layers nothing is cached: these images are built only to be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from imageproof.documents import parse_json
from imageproof.image.stream import decompress
from imageproof.image.tar import read_entries

if TYPE_CHECKING:
    from imageproof.deep.canary import CanarySearch, Matches

Entry = tuple[Any, ...]  # metadata and content digest of a file in a tar


@dataclass(frozen=True)
class ScannedLayer:
    """The entries of a layer by path, and the canaries in them."""

    instruction: str
    entries: Mapping[str, Entry]
    matches: Mapping[str, Matches] = field(default_factory=dict)


@dataclass(frozen=True)
class Scan:
    """The layers of an image, oldest first, and the canaries in its configuration."""

    layers: tuple[ScannedLayer, ...]
    configuration: Matches


def scan(chunks: Iterable[bytes], search: CanarySearch) -> Scan:
    """Read a `docker save` stream of one image.

    Raises:
        ImageDamaged, KeyError, ValueError: the stream is not a valid image.
    """
    documents: dict[str, Any] = {}
    layers: dict[str, ScannedLayer] = {}
    configuration: Matches = set()
    for member, content in read_entries(iter(chunks), "reading an image"):
        head = next(content, b"")
        if head[:1] in (b"{", b"["):  # a JSON document: manifest, configuration or index
            text = b"".join((head, *content))
            configuration |= search.find_in_chunks([text])
            documents[member.name] = parse_json(text)
        elif head:
            layers[member.name] = _scan_layer(decompress(head, chain([head], content)), search)
    manifest = documents["manifest.json"][0]
    history = documents[manifest["Config"]].get("history") or []
    instructions = [step.get("created_by", "") for step in history if not step.get("empty_layer")]
    names = manifest["Layers"]
    if len(instructions) != len(names):  # an incomplete history, as of `docker import`
        instructions = [""] * len(names)
    ordered = tuple(
        ScannedLayer(instruction, layers[name].entries, layers[name].matches)
        for name, instruction in zip(names, instructions, strict=True)
    )
    return Scan(ordered, configuration)


def _scan_layer(chunks: Iterator[bytes], search: CanarySearch) -> ScannedLayer:
    entries: dict[str, Entry] = {}
    matches: dict[str, Matches] = {}
    for member, content in read_entries(chunks, "reading a layer"):
        digest = hashlib.sha256()
        names = f"{member.name}\0{member.linkname}".encode(errors="replace")
        in_names = search.find_in_chunks([names])
        in_content = search.find_in_file(_hashing(content, digest))
        if in_names or in_content:
            matches[member.name] = in_names | in_content
        entries[member.name] = (
            member.type, member.size, member.mode, member.uid, member.gid, member.linkname,
            member.mtime, digest.hexdigest(), tuple(sorted(member.pax_headers.items())),
        )  # fmt: skip
    return ScannedLayer("", entries, matches)


def _hashing(chunks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    """Yield the chunks, and add each to the digest."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def differing_paths(first: ScannedLayer, second: ScannedLayer) -> tuple[str, ...]:
    """Return the paths that only one of two layers has, or that differ between them."""
    paths = first.entries.keys() | second.entries.keys()
    return tuple(
        sorted(path for path in paths if first.entries.get(path) != second.entries.get(path))
    )
