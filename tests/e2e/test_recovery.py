"""Recovery of the store on a real engine: backup and restore, a damaged file, a full disk.

The steps are those of docs/operations.md. The registry does not answer, so reviews stay queued.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from imageproof.errors import StackFailed, UsageError
from imageproof.stack import compose
from ops import store_backup
from tests.support.commands import docker, wait_until
from tests.support.review_stack import ReviewStack, running_stack

DISK_BYTES = 16 * 1024 * 1024
MANIFEST = "appendonlydir/appendonly.aof.manifest"
NOWHERE = "http://192.0.2.1:9"


@pytest.fixture(scope="module")
def stack(contract, engine, built, project_name) -> Iterator[ReviewStack]:
    project = f"{project_name}-recovery"
    with running_stack(contract, engine, project, ARTIFACTORY_URL=NOWHERE) as running:
        yield running


def _cache(stack: ReviewStack) -> str:
    (container,) = stack.engine.containers(["cache"])
    return str(container["Id"])


def _compose(stack: ReviewStack, *arguments: str) -> str:
    return stack.engine.compose("testing recovery", *arguments)


def _submit(stack: ReviewStack, *versions: str) -> list[str]:
    return [stack.submit("left-pad", "1.0.0", version, force=True) for version in versions]


def _is_known(stack: ReviewStack, id_: str) -> bool:
    response = stack.request("GET", f"/v1/reviews/{id_}")
    assert response.status_code in (200, 404), response.text
    return response.status_code == 200


def _await_ready(stack: ReviewStack) -> None:
    stack.forget_address()
    wait_until(stack.is_ready, 90, lambda: f"not ready: {docker('logs', '-n5', _cache(stack))}")


# --- backup and restore


def test_backup_of_a_running_stack_is_restored(stack, tmp_path):
    backup = tmp_path / "reviews.rdb"
    before = _submit(stack, "1.1.0", "1.1.1")
    store_backup.backup(stack.engine, backup, force=False)
    with pytest.raises(UsageError, match="exists"):
        store_backup.backup(stack.engine, backup, force=False)
    (after,) = _submit(stack, "1.2.0")

    with pytest.raises(UsageError, match=r"the store holds \d+ keys"):
        store_backup.restore(stack.engine, backup, force=False)
    damaged = tmp_path / "damaged.rdb"
    damaged.write_bytes(backup.read_bytes()[:-20])
    for file in (damaged, tmp_path / "absent.rdb"):
        with pytest.raises(UsageError):
            store_backup.restore(stack.engine, file, force=True)
    assert all(_is_known(stack, id_) for id_ in [*before, after])  # nothing has changed

    store_backup.restore(stack.engine, backup, force=True)
    _await_ready(stack)
    assert all(_is_known(stack, id_) for id_ in before)
    assert not _is_known(stack, after)
    (new,) = _submit(stack, "1.3.0")
    _compose(stack, "restart", "cache")
    _await_ready(stack)
    assert all(_is_known(stack, id_) for id_ in [*before, new])


# --- a damaged append-only file


def _append_only_file(container: str) -> tuple[str, bytearray]:
    """Return the path and the content of the file to which Redis appends."""
    archive = subprocess.run(
        ["docker", "cp", f"{container}:/data/appendonlydir", "-"], capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith(".incr.aof")]
        file = tar.extractfile(name)
        assert file
        return name, bytearray(file.read())


def _replace_file(container: str, path: str, content: bytes) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(path)
        member.size, member.mode, member.uid, member.gid = len(content), 0o644, 10001, 10001
        tar.addfile(member, io.BytesIO(content))
    command = ["docker", "cp", "-", f"{container}:/data"]
    subprocess.run(command, input=archive.getvalue(), check=True, capture_output=True)


def test_append_only_file_cut_at_its_end_is_loaded(stack):
    first, *_ = _submit(stack, "1.1.0", "1.1.1")
    _compose(stack, "stop")
    path, content = _append_only_file(_cache(stack))
    _replace_file(_cache(stack), path, content[:-7])
    _compose(stack, "start")
    _await_ready(stack)
    assert _is_known(stack, first)
    # A transaction that was cut stays open in the file, and the next start would refuse it.
    docker("exec", _cache(stack), "redis-cli", "-e", "bgrewriteaof")
    wait_until(
        lambda: "Background AOF rewrite finished" in docker("logs", _cache(stack)), 30, "no rewrite"
    )
    (new,) = _submit(stack, "1.2.0")
    _compose(stack, "restart", "cache")
    _await_ready(stack)
    assert _is_known(stack, new)


def test_append_only_file_damaged_in_its_middle_is_named_and_repaired(contract, stack):
    first, *_ = _submit(stack, "1.1.0")
    _compose(stack, "stop")
    cache = _cache(stack)
    path, content = _append_only_file(cache)
    intact = len(content)
    _compose(stack, "start")
    _await_ready(stack)
    _submit(stack, *(f"1.2.{number}" for number in range(20)))
    _compose(stack, "stop")
    path, content = _append_only_file(cache)
    content[intact + 200 : intact + 300] = b"\0" * 100
    _replace_file(cache, path, bytes(content))

    with pytest.raises(StackFailed) as failed:
        compose.up(contract, stack.engine, quiet=True)
    tail = "\n".join(failed.value.tail)
    assert "Bad file format reading the append only file" in tail
    assert path.rpartition("/")[2] in tail
    assert f"redis-check-aof --fix {MANIFEST}" in (failed.value.hint or "")
    repair = ["compose", *stack.engine._compose_options[1:], "run", "--rm", "--no-deps", "-T"]
    result = subprocess.run(
        stack.engine.command(*repair, "cache", "redis-check-aof", "--fix", MANIFEST),
        input="y\n",
        text=True,
        capture_output=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    compose.up(contract, stack.engine, quiet=True)
    _await_ready(stack)
    assert _is_known(stack, first)
    _submit(stack, "1.3.0")


# --- a full disk


@pytest.fixture
def small_disk(contract, engine, built, base_image, project_name, tmp_path):
    """Run a stack whose store has a disk of 16 MB; yield it, and a shell beside that disk."""
    project = f"{project_name}-disk"
    mount = f"size={DISK_BYTES},uid=10001,gid=10001,mode=0755"
    overlay = tmp_path / "disk.yaml"
    overlay.write_text(
        "volumes:\n  reviews:\n    driver_opts:\n      type: tmpfs\n      device: tmpfs\n"
        f"      o: {mount}\n"
    )
    own = replace(engine, compose_files=(*engine.compose_files, overlay))
    holder = f"{project}-holder"
    volume = f"{project}_reviews"
    with contextlib.ExitStack() as cleanup:
        # First, because a volume in memory lasts as long as a container uses it.
        cleanup.callback(compose.down, replace(own, project=project), volumes=True, quiet=True)
        labels = {"project": project, "volume": "reviews", "version": "2"}
        options = ["type=tmpfs", "device=tmpfs", f"o={mount}"]
        docker(
            *("volume", "create", volume),
            *(f"--label=com.docker.compose.{name}={value}" for name, value in labels.items()),
            *(f"--opt={option}" for option in options),
        )
        docker("run", "--detach", "--name", holder, "--volume", f"{volume}:/data",
               "--network", "none", base_image, "sleep", "600")  # fmt: skip
        cleanup.callback(docker, "rm", "--force", holder)
        running = running_stack(contract, own, project, ARTIFACTORY_URL=NOWHERE)
        yield cleanup.enter_context(running), holder


def test_full_disk_loses_nothing_accepted_and_heals(small_disk):
    stack, holder = small_disk
    accepted = _submit(stack, "1.1.0", "1.1.1")
    fill = "head -c 100000000 /dev/zero > /data/fill; true"
    docker("exec", holder, "sh", "-c", fill)

    def is_refused() -> bool:
        response = stack.request(
            "POST",
            "/v1/reviews?force=true",
            json={"package": "left-pad", "from": "1.0.0", "to": f"2.0.{len(accepted)}"},
        )
        if response.status_code == 202:
            accepted.append(response.json()["id"])
            return False
        assert response.status_code == 503, response.text
        assert response.headers["content-type"] == "application/problem+json"
        return True

    wait_until(is_refused, 60, "the full disk was not noticed", interval=0)
    wait_until(lambda: not stack.is_ready(), 60, "/ready does not report the full disk")
    assert stack.request("GET", "/health").status_code == 200
    docker("exec", holder, "rm", "/data/fill")
    _await_ready(stack)
    wait_until(lambda: not is_refused(), 90, "the store does not heal")
    assert all(_is_known(stack, id_) for id_ in accepted)
