"""A second Docker engine on this machine: with roots of its own, and no network to set up."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.support import wait_until

START_SECONDS = 90


def missing() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "a second Docker engine needs root"
    return "" if shutil.which("dockerd") else "a second Docker engine needs dockerd on this machine"


@dataclass(frozen=True)
class Daemon:
    """An engine that runs, and the client's context that leads to it."""

    context: str
    configuration: Path  # of a client that knows the context

    @property
    def variables(self) -> dict[str, str]:
        """For a command that shall know the context, beside this machine's own engine."""
        return {"DOCKER_CONFIG": str(self.configuration)}

    def docker(self, *arguments: str) -> str:
        """What a docker command prints of that engine."""
        result = subprocess.run(
            ["docker", "--context", self.context, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **self.variables},
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Daemon]:
    """The engine, for as long as the block takes; nothing of it is left."""
    name = f"ops-e2e-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    address = f"unix://{folder}/docker.sock"
    command = [
        *("dockerd", "--host", address, "--pidfile", f"{folder}/pid"),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
        *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
        *("--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}-plugins"),
    ]
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        daemon = Daemon(name, folder / "client")
        _run(daemon, "context", "create", name, "--docker", f"host={address}")

        def answers() -> bool:
            assert process.poll() is None, f"dockerd ended:\n{log.read_text()[-2000:]}"
            return _run(daemon, "--context", name, "version") == 0

        wait_until(answers, START_SECONDS, "the second engine does not answer")
        yield daemon
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # dockerd mounts its root onto itself, and may leave that when it is killed.
        while subprocess.run(["umount", f"{folder}/data"], capture_output=True).returncode == 0:
            pass
        shutil.rmtree(folder)


def _run(daemon: Daemon, *arguments: str) -> int:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, env={**os.environ, **daemon.variables}
    ).returncode
