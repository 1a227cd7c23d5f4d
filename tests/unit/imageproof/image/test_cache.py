"""imageproof.image.cache: what is kept of a layer is read again, or counts as none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imageproof.image import cache
from imageproof.image.cache import FORMAT, find, find_steps, keep, keep_steps, place
from imageproof.image.config import Steps
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
    anomalies=("b is there twice",),
)


def _path(folder: Path) -> Path:
    found = place(folder, LAYER.diff_id)
    assert found is not None
    return found


def test_what_is_kept_is_read_again(tmp_path):
    keep(tmp_path / "new folder", LAYER)
    assert find(tmp_path / "new folder", LAYER.diff_id) == LAYER
    assert [path.suffix for path in (tmp_path / "new folder").iterdir()] == [".json"]


def test_a_layer_without_files_is_kept_too(tmp_path):
    empty = Layer("sha256:" + "e" * 64, 1024, ())
    keep(tmp_path, empty)
    assert find(tmp_path, empty.diff_id) == empty


def test_a_layer_that_was_never_kept_is_none(tmp_path):
    keep(tmp_path, LAYER)
    assert find(tmp_path, "sha256:" + "d" * 64) is None
    assert find(tmp_path / "no folder", LAYER.diff_id) is None


@pytest.mark.parametrize("diff_id", ["sha256:../../etc/passwd", "", "sha256:" + "c" * 63, "x/y"])
def test_a_name_that_is_no_digest_leads_nowhere(tmp_path, diff_id):
    assert place(tmp_path, diff_id) is None
    keep(tmp_path, replace(LAYER, diff_id=diff_id))
    assert list(tmp_path.iterdir()) == []
    assert find(tmp_path, diff_id) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-5],
        lambda text: "\0" * len(text),
        lambda text: "null",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'),
        lambda text: text.replace("c" * 64, "d" * 64),
        # still JSON, and still of the right form: one bit fell over
        lambda text: text.replace('"size":4711', '"size":4710'),
        lambda text: text.replace("npm token", "npm tokem"),
        lambda text: text.replace("\n", "\n "),
        lambda text: text.partition("\n")[0],
        lambda text: "[" * 100_000,
    ],
)
def test_a_file_that_is_damaged_or_of_another_format_counts_as_none(tmp_path, spoil):
    keep(tmp_path, LAYER)
    path = _path(tmp_path)
    spoilt = spoil(path.read_text())
    assert spoilt != path.read_text()
    path.write_text(spoilt)
    assert find(tmp_path, LAYER.diff_id) is None


def test_bytes_that_are_no_text_count_as_none(tmp_path):
    _path(tmp_path).write_bytes(b"\xff\xfe\xff")
    assert find(tmp_path, LAYER.diff_id) is None


def test_a_folder_in_its_place_counts_as_none(tmp_path):
    _path(tmp_path).mkdir()
    assert find(tmp_path, LAYER.diff_id) is None


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def fails(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_head", fails)
    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, LAYER)
    assert list(tmp_path.iterdir()) == []


# --- what made an image

IMAGE = "sha256:" + "1" * 64
STEPS = Steps(("COPY a /", "CMD x"), ("COPY a /",))


def test_what_made_an_image_is_kept_by_its_id(tmp_path):
    keep_steps(tmp_path, IMAGE, STEPS)
    assert find_steps(tmp_path, IMAGE) == STEPS
    assert find_steps(tmp_path, "sha256:" + "2" * 64) is None


def test_a_history_with_a_secret_in_it_is_not_written(tmp_path):
    keep_steps(tmp_path, IMAGE, Steps(("ARG API_" + "TOKEN=swordfish",), ()))
    assert list(tmp_path.iterdir()) == []
