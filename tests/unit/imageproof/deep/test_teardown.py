"""Tests of the broken starts: their process, and the wait for a condition.

The starts themselves need an engine: tests/defects runs them.
"""

from __future__ import annotations

import subprocess
import sys

from imageproof.deep import teardown
from imageproof.deep.teardown import seconds_until
from tests.support.sample_facts import contract


def test_start_finds_package_and_contract_in_any_folder(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "imageproof.deep.teardown", "project", "compose.yaml"],
        cwd=tmp_path,
        env=teardown._child_environment(contract(root=tmp_path)),
        capture_output=True,
        text=True,
    )
    assert f"there is no pyproject.toml in {tmp_path}" in process.stderr


def test_waiting_returns_the_seconds_until_the_condition_holds():
    answers = iter([False, True])
    seconds = seconds_until(lambda: next(answers), limit=60)
    assert seconds is not None
    assert teardown.POLL_SECONDS <= seconds < 60


def test_waiting_ends_at_the_limit():
    assert seconds_until(lambda: False, limit=0) is None
