"""imageproof.image.sources: images of an engine, saved once, then known."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from imageproof.errors import StackFailed
from imageproof.image import cache
from imageproof.image.facts import ImageFacts
from imageproof.image.sources import read_images
from tests.support.archives import (
    EMPTY,
    FIRST,
    LAYERS,
    SECOND,
    WANTED,
    config,
    digest,
    in_json,
    seen,
    tar,
)


class _Engine:
    """An engine with some images; it counts what is saved, and what it was asked."""

    def __init__(self, **images: Sequence[bytes]) -> None:
        self.made = images
        self.saved: list[list[str]] = []
        self.asked: list[str] = []
        self.config: Any = config

    def _text(self, name: str) -> bytes:
        return json.dumps(self.config(self.made[name], config={"User": name})).encode()

    def images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        self.asked.append("images")
        return {
            name: {
                "Id": digest(self._text(name)),
                "RepoTags": [f"{name}:1"],
                "RootFS": {"Layers": [digest(blob) for blob in self.made[name]]},
            }
            for name in references
            if name in self.made
        }

    def history(self, reference: str) -> list[str]:
        self.asked.append("history")
        return [f"COPY {n} / # buildkit" for n in range(len(self.made[reference]))]

    def save(self, references: Sequence[str]) -> Iterator[bytes]:
        self.saved.append(list(references))
        blobs = {_at(blob): blob for name in references for blob in self.made[name]}
        texts = {name: self._text(name) for name in references}
        manifest = [{"Config": _at(t), "RepoTags": [f"{n}:1"]} for n, t in texts.items()]
        blobs |= {_at(text): text for text in texts.values()}
        yield tar(blobs | in_json("manifest.json", manifest))


def _at(blob: bytes) -> str:
    return f"blobs/{digest(blob).replace(':', '/')}"


def _ask(engine: Any, folder: Path, *names: str) -> dict[str, ImageFacts | None]:
    return read_images(engine, names, folder / "cache")


def test_an_image_that_is_not_there_has_no_facts(tmp_path):
    assert _ask(_Engine(), tmp_path, "none") == {"none": None}
    found = _ask(_Engine(api=LAYERS), tmp_path, "none", "api")
    assert found["none"] is None
    assert found["api"] is not None


def test_an_image_without_layers_is_an_image(tmp_path):
    engine = _Engine(api=())
    image = {"Id": "sha256:" + "0" * 64, "RootFS": {"Type": "layers"}}
    engine.images = lambda names: dict.fromkeys(names, image)
    facts = _ask(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert (facts.layers, facts.size, engine.saved) == ((), 0, [])


def test_a_configuration_without_history_is_no_hindrance(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.config = lambda layers, **changes: config(layers, **changes) | {"history": 7}
    facts = _ask(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert engine.asked == ["images", "history"]
    assert facts.history[0] == "COPY 0 /"


def test_layers_may_be_packed_as_containerds_store_saves_them(tmp_path):
    engine = _Engine(api=LAYERS)

    def save(_: object) -> Iterator[bytes]:
        yield tar({_at(p): p for p in map(gzip.compress, LAYERS)})

    engine.save = save
    facts = _ask(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert seen(facts) == WANTED
    assert engine.asked == ["images", "history"]


def test_what_a_reader_does_not_want_is_not_saved_to_the_end(tmp_path):
    engine = _Engine(api=LAYERS)
    ended = []

    def save(_: object) -> Iterator[bytes]:
        try:
            while True:
                yield b"no tar" * 1000
        finally:
            ended.append(True)

    engine.save = save
    with pytest.raises(StackFailed):
        _ask(engine, tmp_path, "api")
    assert ended


def test_images_are_saved_in_one_stream_and_then_come_from_the_cache(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST, SECOND))
    first = _ask(engine, tmp_path, "api", "worker")
    assert engine.asked == ["images"]  # what made the layers was in the stream
    assert _ask(engine, tmp_path, "api", "worker") == first
    assert engine.saved == [["api", "worker"]]
    assert engine.asked == ["images"] * 2
    assert first["api"] is not None
    assert seen(first["api"]) == WANTED


def test_only_an_image_with_a_layer_that_is_not_known_is_saved(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST,), third=(FIRST, tar({"new": b""})))
    _ask(engine, tmp_path, "api")
    _ask(engine, tmp_path, "api", "worker", "third")
    assert engine.saved == [["api"], ["third"]]


def test_a_damaged_cache_is_read_anew(tmp_path):
    engine = _Engine(api=LAYERS)
    first = _ask(engine, tmp_path, "api")
    path = cache.place(tmp_path / "cache", digest(EMPTY))
    assert path is not None
    path.write_text("{")
    assert _ask(engine, tmp_path, "api") == first
    assert len(engine.saved) == 2


def test_a_layer_that_the_engine_does_not_give_is_an_error(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.save = lambda _: (blob for blob in [tar({"blobs/sha256/x": FIRST})])
    with pytest.raises(StackFailed, match=f"did not give .*{digest(SECOND)}"):
        _ask(engine, tmp_path, "api")
