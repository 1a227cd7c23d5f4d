"""Images of an engine: saved once, then cached."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from imageproof.errors import ImageDamaged
from imageproof.image import cache
from imageproof.image.facts import ImageFacts
from imageproof.image.sources import read_images
from tests.support.archives import (
    EMPTY,
    FIRST,
    LAYER_SUMMARY,
    LAYERS,
    SECOND,
    blob_path,
    digest,
    image_config,
    json_entry,
    layer_summary,
    tar,
)


class _Engine:
    """Engine with images, by name and layers; it records saves and queries."""

    def __init__(self, **layers: Sequence[bytes]) -> None:
        self.layers = layers
        self.config_changes: dict[str, Any] = {}
        self.saved: list[list[str]] = []
        self.queries: list[str] = []

    def _config_blob(self, name: str) -> bytes:
        changes = {"config": {"User": name}, **self.config_changes}
        return json.dumps(image_config(self.layers[name], **changes)).encode()

    def images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        self.queries.append("images")
        return {
            name: {
                "Id": digest(self._config_blob(name)),
                "RepoTags": [f"{name}:1"],
                "RootFS": {"Layers": [digest(layer) for layer in self.layers[name]]},
            }
            for name in references
            if name in self.layers
        }

    def history(self, reference: str) -> list[str]:
        self.queries.append("history")
        return [f"COPY {number} / # buildkit" for number in range(len(self.layers[reference]))]

    def save(self, references: Sequence[str]) -> Iterator[bytes]:
        self.saved.append(list(references))
        configs = {name: self._config_blob(name) for name in references}
        layers = [layer for name in references for layer in self.layers[name]]
        manifest = [
            {"Config": blob_path(config), "RepoTags": [f"{name}:1"]}
            for name, config in configs.items()
        ]
        entries = {blob_path(blob): blob for blob in (*layers, *configs.values())}
        yield tar(entries | json_entry("manifest.json", manifest))


def _read(engine: Any, folder: Path, *names: str) -> dict[str, ImageFacts | None]:
    return read_images(engine, names, folder / "cache")


def _read_one(engine: Any, folder: Path, name: str = "api") -> ImageFacts:
    facts = _read(engine, folder, name)[name]
    assert facts is not None
    return facts


def test_missing_image_has_no_facts(tmp_path):
    assert _read(_Engine(), tmp_path, "none") == {"none": None}
    images = _read(_Engine(api=LAYERS), tmp_path, "none", "api")
    assert images["none"] is None
    assert images["api"] is not None


def test_image_without_layers_is_read(tmp_path):
    engine = _Engine(api=())
    image = {"Id": "sha256:" + "0" * 64, "RootFS": {"Type": "layers"}}
    engine.images = lambda names: dict.fromkeys(names, image)
    facts = _read_one(engine, tmp_path)
    assert (facts.layers, facts.size, engine.saved) == ((), 0, [])


def test_invalid_history_falls_back_to_docker_history(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.config_changes = {"history": 7}
    facts = _read_one(engine, tmp_path)
    assert engine.queries == ["images", "history"]
    assert facts.history[0] == "COPY 0 /"


def test_compressed_layers_of_containerds_store_are_read(tmp_path):
    engine = _Engine(api=LAYERS)

    def save(_: object) -> Iterator[bytes]:
        yield tar({blob_path(blob): blob for blob in map(gzip.compress, LAYERS)})

    engine.save = save
    assert layer_summary(_read_one(engine, tmp_path)) == LAYER_SUMMARY
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
    with pytest.raises(ImageDamaged):
        _read(engine, tmp_path, "api")
    assert ended


def test_images_are_saved_in_one_stream_then_cached(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST, SECOND))
    first = _read(engine, tmp_path, "api", "worker")
    assert engine.queries == ["images"]  # the stream has the history
    assert _read(engine, tmp_path, "api", "worker") == first
    assert engine.saved == [["api", "worker"]]
    assert engine.queries == ["images"] * 2
    assert layer_summary(_read_one(engine, tmp_path)) == LAYER_SUMMARY


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
    engine.save = lambda _: (chunk for chunk in [tar({"blobs/sha256/x": FIRST})])  # a generator
    with pytest.raises(ImageDamaged, match=f"lacks .*{digest(SECOND)}"):
        _read(engine, tmp_path, "api")
