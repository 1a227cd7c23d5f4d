"""Tests of reports that the user names: an old one survives a failed write."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imageproof.atomic_write import write_report
from imageproof.errors import NoSpace, UsageError


def _write(path: Path, text: str = "new") -> None:
    write_report(path, text, "writing", "another place")


def test_report_follows_a_link_and_keeps_the_mode(tmp_path):
    report, link = tmp_path / "report", tmp_path / "link"
    _write(report, "old")
    assert report.stat().st_mode & 0o777 == 0o666 & ~_umask()
    report.chmod(0o640)
    link.symlink_to(report)
    _write(link)
    assert link.is_symlink()
    assert (report.read_text(), report.stat().st_mode & 0o777) == ("new", 0o640)
    assert sorted(tmp_path.iterdir()) == [link, report]


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("old", ["old", None])
def test_full_disk_leaves_the_old_report_and_no_new_one(tmp_path, monkeypatch, number, old):
    report = tmp_path / "report"
    if old:
        report.write_text(old)

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(NoSpace) as caught:
        _write(report)
    assert caught.value.status == 3
    assert "--output" in (caught.value.hint or "")
    assert [path.read_text() for path in tmp_path.iterdir()] == ([old] if old else [])


def test_full_device_is_no_space():
    with pytest.raises(NoSpace):
        _write(Path("/dev/full"))
    assert Path("/dev/full").is_char_device()


def test_missing_folder_and_folder_are_usage_errors(tmp_path):
    for path in (tmp_path / "absent/report", tmp_path):
        with pytest.raises(UsageError) as caught:
            _write(path)
        assert caught.value.hint == "another place"
    assert not list(tmp_path.iterdir())


def test_standard_output_can_be_the_report():
    code = "from pathlib import Path; from imageproof.atomic_write import write_report as w;"
    code += "w(Path('/dev/stdout'), 'new', '', '')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "new"
