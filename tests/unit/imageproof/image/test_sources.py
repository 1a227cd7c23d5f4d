"""Images of an engine: saved once, then cached."""

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
    EXPECTED,
    FIRST,
    LAYERS,
    SECOND,
    config,
    digest,
    in_json,
    layer_summary,
    tar,
)


class _Engine:
    """An engine with some images; it records saves and queries."""

    def __init__(self, **images: Sequence[bytes]) -> None:
        self.blobs = images
        self.saved: list[list[str]] = []
        self.queries: list[str] = []
        self.config: Any = config

    def _text(self, name: str) -> bytes:
        return json.dumps(self.config(self.blobs[name], config={"User": name})).encode()

    def images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        self.queries.append("images")
        return {
            name: {
                "Id": digest(self._text(name)),
                "RepoTags": [f"{name}:1"],
                "RootFS": {"Layers": [digest(blob) for blob in self.blobs[name]]},
            }
            for name in references
            if name in self.blobs
        }

    def history(self, reference: str) -> list[str]:
        self.queries.append("history")
        return [f"COPY {n} / # buildkit" for n in range(len(self.blobs[reference]))]

    def save(self, references: Sequence[str]) -> Iterator[bytes]:
        self.saved.append(list(references))
        blobs = {_at(blob): blob for name in references for blob in self.blobs[name]}
        texts = {name: self._text(name) for name in references}
        manifest = [{"Config": _at(t), "RepoTags": [f"{n}:1"]} for n, t in texts.items()]
        blobs |= {_at(text): text for text in texts.values()}
        yield tar(blobs | in_json("manifest.json", manifest))


def _at(blob: bytes) -> str:
    return f"blobs/{digest(blob).replace(':', '/')}"


def _read(engine: Any, folder: Path, *names: str) -> dict[str, ImageFacts | None]:
    return read_images(engine, names, folder / "cache")


def test_missing_image_has_no_facts(tmp_path):
    assert _read(_Engine(), tmp_path, "none") == {"none": None}
    found = _read(_Engine(api=LAYERS), tmp_path, "none", "api")
    assert found["none"] is None
    assert found["api"] is not None


def test_image_without_layers_is_read(tmp_path):
    engine = _Engine(api=())
    image = {"Id": "sha256:" + "0" * 64, "RootFS": {"Type": "layers"}}
    engine.images = lambda names: dict.fromkeys(names, image)
    facts = _read(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert (facts.layers, facts.size, engine.saved) == ((), 0, [])


def test_invalid_history_falls_back_to_docker_history(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.config = lambda layers, **changes: config(layers, **changes) | {"history": 7}
    facts = _read(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert engine.queries == ["images", "history"]
    assert facts.history[0] == "COPY 0 /"


def test_compressed_layers_of_containerds_store_are_read(tmp_path):
    engine = _Engine(api=LAYERS)

    def save(_: object) -> Iterator[bytes]:
        yield tar({_at(p): p for p in map(gzip.compress, LAYERS)})

    engine.save = save
    facts = _read(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert layer_summary(facts) == EXPECTED
    assert engine.queries == ["images", "history"]


def test_save_ends_when_the_reader_fails(tmp_path):
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
        _read(engine, tmp_path, "api")
    assert ended


def test_images_are_saved_in_one_stream_then_cached(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST, SECOND))
    first = _read(engine, tmp_path, "api", "worker")
    assert engine.queries == ["images"]  # the stream has the history
    assert _read(engine, tmp_path, "api", "worker") == first
    assert engine.saved == [["api", "worker"]]
    assert engine.queries == ["images"] * 2
    assert first["api"] is not None
    assert layer_summary(first["api"]) == EXPECTED


def test_only_images_with_uncached_layers_are_saved(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST,), third=(FIRST, tar({"new": b""})))
    _read(engine, tmp_path, "api")
    _read(engine, tmp_path, "api", "worker", "third")
    assert engine.saved == [["api"], ["third"]]


def test_damaged_cache_file_is_replaced(tmp_path):
    engine = _Engine(api=LAYERS)
    first = _read(engine, tmp_path, "api")
    path = cache.cache_path(tmp_path / "cache", digest(EMPTY))
    assert path is not None
    path.write_text("{")
    assert _read(engine, tmp_path, "api") == first
    assert len(engine.saved) == 2


def test_layers_are_read_again_if_a_rule_changes(tmp_path, monkeypatch):
    engine = _Engine(api=LAYERS)
    first = _read(engine, tmp_path, "api")
    monkeypatch.setattr(cache, "rules_digest", lambda: "another digest")
    assert _read(engine, tmp_path, "api") == first
    assert engine.saved == [["api"], ["api"]]


def test_layer_that_the_engine_does_not_save_is_an_error(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.save = lambda _: (blob for blob in [tar({"blobs/sha256/x": FIRST})])
    with pytest.raises(StackFailed, match=f"lacks .*{digest(SECOND)}"):
        _read(engine, tmp_path, "api")
