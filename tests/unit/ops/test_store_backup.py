"""Tests of ops.store_backup that need no engine."""

import io
import subprocess
import tempfile
from pathlib import Path

import pytest

from ops.store_backup import BASE_FILE, MANIFEST, _remove_end_mark
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


def test_manifest_names_the_base_file():
    assert MANIFEST.split()[1].decode() == Path(BASE_FILE).name
