"""A second Docker engine on this machine: with roots and a bridge of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import stop_process, wait_until

START_SECONDS = 90


def missing() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "a second Docker engine needs root"
    lacking = [program for program in ("dockerd", "ip") if not shutil.which(program)]
    return f"a second Docker engine needs {' and '.join(lacking)}" if lacking else ""


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
    own = uuid.uuid4().hex[:8]
    name, bridge = f"ops-e2e-{own}", f"ops{own}"
    folder.mkdir(parents=True)
    address = f"unix://{folder}/docker.sock"
    command = [
        *("dockerd", "--host", address, "--pidfile", f"{folder}/pid"),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
        *("--bridge", bridge, "--iptables=false", "--ip6tables=false"),
        *("--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}-plugins"),
    ]
    log = folder / "log"
    # Not `--bridge none`: an engine that is told so removes docker0, which is the other engine's.
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
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
        stop_process(process, 30)
        subprocess.run(["ip", "link", "delete", bridge], capture_output=True)
        # dockerd mounts its root onto itself, and may leave that when it is killed.
        while subprocess.run(["umount", f"{folder}/data"], capture_output=True).returncode == 0:
            pass
        shutil.rmtree(folder)


def _run(daemon: Daemon, *arguments: str) -> int:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, env={**os.environ, **daemon.variables}
    ).returncode
