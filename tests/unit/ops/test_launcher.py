"""Tests of ./inv, which makes the Python environment: what it prints, and what it says if it fails.

A shell script stands for Python: a full disk takes more than a unit test may.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.sample_facts import ROOT

PYTHON = """#!/bin/sh
case "$*" in
    *'-m venv'*) VENV ;;
    *'pip install'*) PIP ;;
    *'pip config'*) echo "global.index-url='http://mirror.invalid/simple'" ;;
    *tasks.py*) echo ran ;;
esac
"""
MAKE = """mkdir -p "$4/bin"; cp "$0" "$4/bin/python"
    printf '#!/bin/sh\nexec "%s/bin/python" pip "$@"\n' "$4" > "$4/bin/pip"
    chmod +x "$4/bin/pip\""""


def _inv(folder: Path, venv: str = MAKE, pip: str = "true") -> subprocess.CompletedProcess[str]:
    """Run ./inv of a project whose Python does `venv` and `pip`."""
    shutil.copy(ROOT / "inv", folder / "inv")
    (folder / "locks").mkdir(exist_ok=True)
    (folder / "locks/dev.txt").write_text("shop==1\n")
    python = folder / "python"
    python.write_text(PYTHON.replace("VENV", venv).replace("PIP", pip))
    python.chmod(0o755)
    return subprocess.run(
        ["./inv", "ps"], cwd=folder, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
    )  # fmt: skip


def test_first_call_says_what_it_does_and_the_second_is_silent(tmp_path):
    first = _inv(tmp_path)
    assert (first.returncode, first.stdout) == (0, "ran\n"), first.stderr
    assert first.stderr.startswith(f"» creating {tmp_path}/.venv from ")
    assert "about a minute" in first.stderr
    assert first.stderr.endswith(f"✓ created {tmp_path}/.venv\n")
    second = _inv(tmp_path)
    assert (second.returncode, second.stdout, second.stderr) == (0, "ran\n", "")


FULL = "echo '[Errno 28] No space left on device' >&2; exit 1"
READ_ONLY = "echo '[Errno 30] Read-only file system' >&2; exit 1"
NO_PIP = "echo 'ensurepip is not available' >&2; exit 1"
NO_MIRROR = "echo 'No matching distribution' >&2; exit 1"


@pytest.mark.parametrize(
    ("venv", "pip", "cause", "hint"),
    [
        (FULL, "true", "no space is left on this disk", "df -h"),
        (MAKE, FULL, "no space is left on this disk", "df -h"),
        (READ_ONLY, "true", "cannot be written", "ls -ld"),
        (NO_PIP, "true", "virtual environments", "python3-venv"),
        (MAKE, NO_MIRROR, "could not be installed", "mirror"),
    ],
)  # fmt: skip
def test_failure_has_status_3_the_log_and_a_hint_that_fits(tmp_path, venv, pip, cause, hint):
    result = _inv(tmp_path, venv, pip)
    assert result.returncode == 3
    log, _, message = result.stderr.partition("✗ ")
    assert len(log.splitlines()) > 1
    assert cause in message.splitlines()[0]
    assert hint in message.splitlines()[1]
    assert not (tmp_path / ".venv/.lock").exists()


def test_two_first_calls_make_the_environment_once(tmp_path):
    _inv(tmp_path)  # writes the project's files
    shutil.rmtree(tmp_path / ".venv")
    count = tmp_path / "count"
    slow = f"echo made >> {count}; sleep 0.5; {MAKE}"
    (tmp_path / "python").write_text(PYTHON.replace("VENV", slow).replace("PIP", "true"))
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(tmp_path / "python")}
    calls = [
        subprocess.Popen(
            ["./inv", "ps"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]
    assert [call.communicate(timeout=60)[0] for call in calls] == ["ran\n"] * 3
    assert count.read_text() == "made\n"
