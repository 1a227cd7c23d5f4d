"""Tests of ops.store_backup that need no engine."""

import io
import subprocess
import tempfile
from pathlib import Path

import pytest

from imageproof.errors import StackFailed, UsageError
from ops.store_backup import BASE_FILE, MANIFEST, _remove_end_mark, backup
from tests.support import redis_server

SNAPSHOT = b"REDIS0010" + b"x" * 50 + b"\xff" + b"0123abcd"  # the checksum may be text by chance


@pytest.mark.parametrize("mark", [b"", b"0123456789abcdef0123456789abcdef01234567"])
def test_mark_of_a_transfer_is_removed_from_its_snapshot(mark):
    file = io.BytesIO(SNAPSHOT + mark)
    assert _remove_end_mark(file) == len(SNAPSHOT)
    assert file.getvalue() == SNAPSHOT


def test_snapshot_of_a_real_redis_is_whole_without_the_mark():
    with redis_server.running() as url, tempfile.TemporaryFile() as file:
        command = ["redis-cli", "-s", url.removeprefix("unix://"), "--rdb", "-"]
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True, timeout=30)
        size = _remove_end_mark(file)
        file.seek(0)
        content = file.read()
    assert (len(content), content[:5], content[-9]) == (size, b"REDIS", 0xFF)


class FakeEngine:
    """Engine with a running cache, in which each command is a line of shell."""

    def __init__(self, line: str) -> None:
        self.line = line

    def containers(self, *_: object, **__: object) -> list[dict[str, object]]:
        return [{"Id": "c", "State": {"Status": "running", "Health": {"Status": "healthy"}}}]

    def command(self, *_: str) -> list[str]:
        return ["sh", "-c", self.line]

    def query(self, *_: str) -> str:
        return "1"


@pytest.fixture
def without_hard_links(monkeypatch) -> None:
    """Act as a file system without hard links, such as exFAT."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)


@pytest.mark.usefixtures("without_hard_links")
@pytest.mark.parametrize("force", [False, True])
def test_backup_needs_no_hard_links(tmp_path, force):
    file = tmp_path / "reviews.rdb"
    if force:
        file.write_text("the older backup")
    backup(FakeEngine("printf REDIS-new"), file, force=force)
    assert file.read_text() == "REDIS-new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("line", ["printf REDIS; exit 1", "printf x"])
def test_failed_backup_leaves_the_older_one(tmp_path, line):
    file = tmp_path / "reviews.rdb"
    file.write_text("the older backup")
    with pytest.raises(StackFailed):
        backup(FakeEngine(line), file, force=True)
    assert file.read_text() == "the older backup"
    assert list(tmp_path.iterdir()) == [file]


def test_backup_replaces_no_file_that_appeared_meanwhile(tmp_path):
    file = tmp_path / "reviews.rdb"
    with pytest.raises(UsageError):
        backup(FakeEngine(f"printf mine >{file}; printf REDIS"), file, force=False)
    assert file.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [file]


def test_manifest_names_the_base_file():
    assert MANIFEST.split()[1].decode() == Path(BASE_FILE).name
