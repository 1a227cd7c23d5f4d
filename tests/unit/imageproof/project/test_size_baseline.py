"""Size baselines: recording and comparing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imageproof.contract import Contract
from imageproof.errors import UsageError
from imageproof.project.size_baseline import (
    Baseline,
    Change,
    compare_baselines,
    read_baselines,
    write_baselines,
)
from tests.support.sample_facts import contract


def _project(folder: Path) -> Contract:
    return contract(root=folder, baseline="sizes.json")


def _sizes(size: int, base: str = "python:3.11", **files: int) -> Baseline:
    return Baseline(base, size, {"COPY a /": size}, {"dpkg:shop": 5}, files)


def test_written_baselines_are_read_back(tmp_path):
    project = _project(tmp_path)
    assert write_baselines(project, {"shop": _sizes(7, stock=3)}) == tmp_path / "sizes.json"
    assert read_baselines(project) == {"shop": (_sizes(7, stock=3),)}


def test_recording_replaces_only_that_image_on_that_base(tmp_path):
    project = _project(tmp_path)
    write_baselines(project, {"shop": _sizes(1, "a"), "other": _sizes(2, "a")})
    write_baselines(project, {"shop": _sizes(3, "b")})
    write_baselines(project, {"shop": _sizes(4, "a")})
    document = json.loads((tmp_path / "sizes.json").read_text())
    sizes = {(n, base): s["size"] for n, bases in document.items() for base, s in bases.items()}
    assert sizes == {("shop", "a"): 4, ("shop", "b"): 3, ("other", "a"): 2}


def test_recording_the_same_sizes_writes_the_same_bytes(tmp_path):
    project = _project(tmp_path)
    path = write_baselines(project, {"shop": _sizes(1), "other": _sizes(2)})
    first = path.read_bytes()
    write_baselines(project, {"other": _sizes(2)})
    write_baselines(project, {"shop": _sizes(1)})
    assert path.read_bytes() == first


def test_recording_needs_a_baseline_file_in_the_contract(tmp_path):
    with pytest.raises(UsageError, match="names no baseline file") as caught:
        write_baselines(contract(root=tmp_path), {"shop": _sizes(1)})
    assert caught.value.status == 2


def test_comparison_lists_the_largest_change_first():
    before, now = _sizes(500, stock=400, new=0), _sizes(480, stock=100, new=50)
    assert compare_baselines(before, before) == []
    assert compare_baselines(before, now) == [
        Change("file", "stock", -300),
        Change("file", "new", 50),
        Change("layer", "COPY a /", -20),
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("file", "srv/stock", 300_000), "file /srv/stock +0.30 MB"),
        (Change("package", "dpkg:shop", -2_000_000), "package dpkg:shop -2.00 MB"),
    ],
)
def test_change_reads_as_a_report_line(change, text):
    assert str(change) == text
