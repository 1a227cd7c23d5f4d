"""Backup and restore of the stack's store, for the commands of the same names.

A backup is Redis' own snapshot format (RDB): Redis sends one over a connection while it serves, so
nothing stops. A restore puts it into a new volume as the base of an append-only file, which is what
this store loads (``appendonly yes`` ignores a plain dump.rdb).
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from imageproof.console import done, say, step
from imageproof.docker.client import Engine
from imageproof.docker.project_lock import project_lock
from imageproof.errors import StackFailed, UsageError
from imageproof.signals import deferring

SERVICE = "cache"
VOLUME = "reviews"
USER_ID = 10001  # of the image
BASE_FILE = "appendonlydir/appendonly.aof.1.base.rdb"
MANIFEST = b"file appendonly.aof.1.base.rdb seq 1 type b\n"
END_MARK_BYTES = 40
_SIGNATURE = b"REDIS"


def backup(engine: Engine, file: Path, *, force: bool) -> None:
    """Write a snapshot of the store to a file, while the stack runs.

    Raises:
        UsageError: the file exists, and `force` is false; or it cannot be written.
        StackFailed: the cache does not run, or sends no snapshot.
    """
    action = f"backing up the store to {file}"
    if file.exists() and not force:
        raise UsageError(action, "the file exists", hint="choose another, or add --force")
    container = _running_cache(engine)
    if container is None:
        raise StackFailed(action, "the cache does not run", hint="`./inv up` starts it")
    step("backup")
    new_path: Path | None = None
    try:
        folder = file.resolve().parent
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as new:
            new_path = Path(new.name)
            command = engine.command("exec", container["Id"], "redis-cli", "--rdb", "-")
            result = subprocess.run(command, stdout=new, stderr=subprocess.PIPE, check=False)
            new.seek(0)
            if result.returncode != 0 or new.read(len(_SIGNATURE)) != _SIGNATURE:
                tail = result.stderr.decode(errors="replace").splitlines()
                raise StackFailed(
                    action, "Redis sent no snapshot", tail=tail, hint="see `./inv logs`"
                )
            size = _remove_end_mark(new)
            os.fsync(new.fileno())
        if not force:
            file.touch(exist_ok=False)  # fails if the name is in use by now
        # The file appears under its name only when it is whole; until then an older one stays.
        new_path.replace(file)
    except OSError as error:
        raise UsageError(action, error.strerror or str(error), hint="choose another file") from None
    finally:
        if new_path:
            new_path.unlink(missing_ok=True)
    done(f"backup: {_keys(engine, container)} keys, {size / 1e6:.1f} MB in {file}")


def restore(engine: Engine, file: Path, *, force: bool) -> None:
    """Replace the store's contents by those of a backup, and start the stack.

    Raises:
        UsageError: the file is no whole backup; or the store is not empty, and `force` is false.
    """
    action = f"restoring the store from {file}"
    try:
        dump = file.read_bytes()
    except OSError as error:
        raise UsageError(action, error.strerror or str(error), hint="choose another file") from None
    with project_lock(engine, "restore"):
        step("restore")
        is_new = _volume(engine) not in _volumes(engine)
        engine.compose("creating the cache", "create", "--no-recreate", "--no-build", SERVICE)
        (cache,) = engine.containers([SERVICE])
        _check(engine, action, cache["Image"], dump)
        if not force and not is_new:
            _require_empty(engine, action)
        with deferring():  # half of it would leave a store without data
            _replace_volume(engine, action, dump)
        say("  the store has the data; starting the stack (`./inv up` does it too)")
        engine.compose("starting the stack", "up", "--detach", "--no-build", "--wait")
        restored = _running_cache(engine)
        assert restored is not None  # --wait
        done(f"restore: {_keys(engine, restored)} keys from {file}; the stack runs")


def _replace_volume(engine: Engine, action: str, dump: bytes) -> None:
    """Stop the stack, and give the cache a new volume with these contents."""
    engine.compose("stopping the stack", "stop")
    engine.compose("removing the cache", "rm", "--force", SERVICE)
    engine.remove("volume", [_volume(engine)])
    engine.compose("creating the cache", "create", "--no-build", SERVICE)
    (cache,) = engine.containers([SERVICE])
    files = {BASE_FILE: dump, f"{Path(BASE_FILE).parent}/appendonly.aof.manifest": MANIFEST}
    _copy(engine, action, files, f"{cache['Id']}:/data")


def _remove_end_mark(snapshot: IO[bytes]) -> int:
    """Remove the mark with which Redis ends a transfer; return the snapshot's size.

    redis-cli removes it from a file, but not from its standard output. A snapshot itself ends with
    a byte 0xff and 8 bytes of checksum, so it does not end like a mark, which is text.
    """
    size = snapshot.seek(0, io.SEEK_END)
    snapshot.seek(max(0, size - END_MARK_BYTES))
    if re.fullmatch(rb"[0-9a-f]{%d}" % END_MARK_BYTES, snapshot.read()):
        size -= END_MARK_BYTES
        snapshot.truncate(size)
    return size


def _running_cache(engine: Engine) -> dict[str, Any] | None:
    """Return the cache's container, or None if it does not run or still starts."""
    for container in engine.containers([SERVICE], stopped=False):
        state = container["State"]
        if state["Status"] == "running" and state.get("Health", {}).get("Status") == "healthy":
            return container
    return None


def _keys(engine: Engine, container: dict[str, Any]) -> int:
    words = ("exec", container["Id"], "redis-cli", "-e", "--raw", "dbsize")
    return int(engine.query("counting the store's keys", *words))


def _require_empty(engine: Engine, action: str) -> None:
    """Raise UsageError unless the store is known to be empty."""
    container = _running_cache(engine)
    if container is None:
        cause = "the cache does not run, so what its volume holds is unknown"
        hint = "--force replaces it; `./inv up` starts it"
    elif keys := _keys(engine, container):
        cause = f"the store holds {keys} keys"
        hint = "`./inv backup OTHER` saves them; --force replaces them"
    else:
        return
    raise UsageError(action, cause, hint=hint)


def _volume(engine: Engine) -> str:
    volumes = engine.compose_model(interpolate=True)["volumes"]
    return str(volumes[VOLUME]["name"])


def _volumes(engine: Engine) -> list[str]:
    return engine.query("listing the volumes", "volume", "ls", "--quiet").split()


def _check(engine: Engine, action: str, image: str, dump: bytes) -> None:
    """Raise UsageError unless this Redis can load the backup."""
    words = ("create", "--network=none", image, "redis-check-rdb", "/backup.rdb")
    container = engine.query("creating a container that checks the backup", *words).strip()
    try:
        _copy(engine, action, {"backup.rdb": dump}, f"{container}:/")
        command = engine.command("start", "--attach", container)
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        engine.query("removing that container", "rm", "--force", "--volumes", container)
    if result.returncode != 0:
        raise UsageError(
            action,
            "the file is no whole backup of a store",
            tail=result.stdout.splitlines(),
            hint="`./inv backup FILE` makes one; the store is unchanged",
        )


def _copy(engine: Engine, action: str, files: dict[str, bytes], target: str) -> None:
    """Copy files into a container's folder, owned by the image's user."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in sorted(
            {parent for name in files if (parent := str(Path(name).parent)) != "."}
        ):
            member = tarfile.TarInfo(folder)
            member.type, member.mode, member.uid, member.gid = (
                tarfile.DIRTYPE,
                0o755,
                USER_ID,
                USER_ID,
            )
            tar.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), 0o644, USER_ID, USER_ID
            tar.addfile(member, io.BytesIO(content))
    command = engine.command("cp", "-", target)
    result = subprocess.run(command, input=archive.getvalue(), capture_output=True, check=False)
    if result.returncode != 0:
        raise StackFailed(
            action,
            "Docker did not copy the backup into the container",
            tail=result.stderr.decode(errors="replace").splitlines(),
            hint="check the disk's free space with `docker system df`",
        )
