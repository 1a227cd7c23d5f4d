"""Output of the `size` command: layers, large files, changes since the baseline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imageproof.image.sizes import sizes_of
from imageproof.project.project_files import ProjectFiles
from imageproof.report import summary
from imageproof.verify.judge import Subject
from tests.support.sample_facts import MB, TODAY, file, image, layer, service_contract


def _shop(size: int):
    return image(layers=(layer(size=MB), layer(file("srv/stock", size=size), size=size, name="b")))


@pytest.fixture
def printed(capsys):
    def show(facts) -> str:
        summary.print_sizes(
            [
                Subject("shop", "shop:test", service_contract(), facts),
                Subject("x", "x", service_contract()),
            ]
        )
        return capsys.readouterr().out

    return show


def test_layers_and_large_files_are_shown(printed):
    text = printed(_shop(2 * MB))
    assert "shop  3.0 MB, 30% of its budget" in text
    assert "2.0 MB  COPY b /" in text
    assert "2.0 MB  /srv/stock" in text
    assert "baseline" not in text  # the contract names no baseline file


def test_changes_since_the_baseline_are_shown_largest_first(printed):
    before = sizes_of(_shop(1_500_000))
    text = printed(replace(_shop(2 * MB), project_files=ProjectFiles(TODAY, baselines=(before,))))
    since = text.partition("+0.50 MB since the baseline")[2].split("\n")
    assert [line.strip() for line in since if line] == [
        "file /srv/stock +0.50 MB",
        "layer COPY b / +0.50 MB",
    ]


def test_missing_baseline_is_reported(printed):
    text = printed(replace(_shop(MB), project_files=ProjectFiles(TODAY, baselines=())))
    assert "no size is recorded on this base: run `./inv size --record`" in text
