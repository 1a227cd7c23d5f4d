"""Node.js and the bundled diff program for the worker's tests. The machine needs no Node.js."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.diff_bundle import NODE, build_bundle


@pytest.fixture(scope="session", autouse=True)
def _node_on_path() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{NODE / 'bin'}:{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture(scope="session", autouse=True)
def diff_sources(_node_on_path: None) -> Path:
    """Build the bundle; return the folder with the program's sources."""
    return build_bundle()
