"""Cache of layer facts and build histories."""

from __future__ import annotations

import errno
import inspect
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from imageproof import redaction
from imageproof.image import cache, packages, secret_candidates
from imageproof.image.cache import (
    FORMAT,
    cache_path,
    load_history,
    load_layer,
    store_history,
    store_layer,
)
from imageproof.image.config import BuildHistory
from imageproof.image.facts import File, Layer, Package, SecretCandidate

LAYER = Layer(
    "sha256:" + "c" * 64,
    4711,
    (
        File("usr/ä", "link", 0, 0o777, 1, 2, "x y"),
        File("b", "file", 3, 0o644, 0, 0, "", "ab" * 16, ("security.capability",)),
    ),
    packages=(Package("python", "left-pad", "1.0", "x/METADATA", ("x/", "y.py")),),
    secret_candidates=(SecretCandidate("b", "npm token"),),
    texts={"etc/passwd": "root:x:0:0::/:\n"},
    anomalies=("b is in the layer twice",),
)


def _path(folder: Path) -> Path:
    path = cache_path(folder, LAYER.diff_id)
    assert path is not None
    return path


def test_stored_layer_is_loaded(tmp_path):
    store_layer(tmp_path / "new folder", LAYER)
    assert load_layer(tmp_path / "new folder", LAYER.diff_id) == LAYER
    assert [path.suffix for path in (tmp_path / "new folder").iterdir()] == [".json"]


def test_layer_without_files_is_stored(tmp_path):
    empty = Layer("sha256:" + "e" * 64, 1024, ())
    store_layer(tmp_path, empty)
    assert load_layer(tmp_path, empty.diff_id) == empty


def test_unknown_layer_is_none(tmp_path):
    store_layer(tmp_path, LAYER)
    assert load_layer(tmp_path, "sha256:" + "d" * 64) is None
    assert load_layer(tmp_path / "no folder", LAYER.diff_id) is None


@pytest.mark.parametrize("diff_id", ["sha256:../../etc/passwd", "", "sha256:" + "c" * 63, "x/y"])
def test_invalid_digest_has_no_path(tmp_path, diff_id):
    assert cache_path(tmp_path, diff_id) is None
    store_layer(tmp_path, replace(LAYER, diff_id=diff_id))
    assert list(tmp_path.iterdir()) == []
    assert load_layer(tmp_path, diff_id) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-5],
        lambda text: "\0" * len(text),
        lambda text: "null",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'),
        lambda text: text.replace("c" * 64, "d" * 64),
        # still valid JSON of the right structure: a flipped bit
        lambda text: text.replace('"size":4711', '"size":4710'),
        lambda text: text.replace("npm token", "npm tokem"),
        lambda text: text.replace("\n", "\n "),
        lambda text: text.partition("\n")[0],
        lambda text: "[" * 100_000,
    ],
)
def test_damaged_or_outdated_file_is_ignored(tmp_path, damage):
    store_layer(tmp_path, LAYER)
    path = _path(tmp_path)
    damaged = damage(path.read_text())
    assert damaged != path.read_text()
    path.write_text(damaged)
    assert load_layer(tmp_path, LAYER.diff_id) is None


@pytest.fixture
def change_source(monkeypatch):
    """Change the source of a module as if it had been edited since the layer was cached."""
    original = inspect.getsource

    def change(module: ModuleType, old: str, new: str) -> None:
        edited = original(module).replace(old, new)
        assert edited != original(module)
        monkeypatch.setattr(
            cache.inspect, "getsource", lambda m: edited if m is module else original(m)
        )
        cache.rules_digest.cache_clear()

    yield change
    cache.rules_digest.cache_clear()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (redaction, r"\bnpm_", r"\bnpmx_"),
        (secret_candidates, r"\.pypirc", r"\.pypirc2"),
        (packages, "lib/apk/db", "usr/lib/apk/db"),
    ],
    ids=["secret format", "secret file name", "package reader"],
)
def test_layer_read_with_other_rules_is_ignored(tmp_path, change_source, module, old, new):
    store_layer(tmp_path, LAYER)
    change_source(module, old, new)
    assert load_layer(tmp_path, LAYER.diff_id) is None
    store_layer(tmp_path, LAYER)
    assert load_layer(tmp_path, LAYER.diff_id) == LAYER


def test_binary_file_is_ignored(tmp_path):
    _path(tmp_path).write_bytes(b"\xff\xfe\xff")
    assert load_layer(tmp_path, LAYER.diff_id) is None


def test_folder_instead_of_a_file_is_ignored(tmp_path):
    _path(tmp_path).mkdir()
    assert load_layer(tmp_path, LAYER.diff_id) is None


def test_layer_that_was_not_searched_whole_is_not_stored(tmp_path):
    store_layer(tmp_path, replace(LAYER, unsearched="it took too long"))
    assert load_layer(tmp_path, LAYER.diff_id) is None


def test_nothing_is_cached_without_a_folder():
    store_layer(None, LAYER)
    assert load_layer(None, LAYER.diff_id) is None


def test_full_disk_is_no_error(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "write_atomically", fail)
    store_layer(tmp_path, LAYER)
    assert load_layer(tmp_path, LAYER.diff_id) is None


def test_interrupted_write_leaves_no_file(tmp_path, monkeypatch):
    def interrupt(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_header", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store_layer(tmp_path, LAYER)
    assert list(tmp_path.iterdir()) == []


# --- build histories

IMAGE = "sha256:" + "1" * 64
HISTORY = BuildHistory(("COPY a /", "CMD x"), ("COPY a /",))


def test_stored_history_is_loaded_by_image_id(tmp_path):
    store_history(tmp_path, IMAGE, HISTORY)
    assert load_history(tmp_path, IMAGE) == HISTORY
    assert load_history(tmp_path, "sha256:" + "2" * 64) is None


def test_history_with_a_secret_is_not_stored(tmp_path):
    store_history(tmp_path, IMAGE, BuildHistory(("ARG API_" + "TOKEN=swordfish",), ()))
    assert list(tmp_path.iterdir()) == []
