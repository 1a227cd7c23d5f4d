"""A second Docker engine on this machine, with its own data root and bridge."""

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
    """Return why this machine cannot run a second engine; empty if it can."""
    if os.geteuid() != 0:
        return "a second Docker engine needs root"
    lacking = [program for program in ("dockerd", "ip") if not shutil.which(program)]
    return f"a second Docker engine needs {' and '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class SecondEngine:
    """A running engine.

    Attributes:
        context: name of the Docker context that leads to it.
        client_folder: the client's configuration, with that context.
    """

    context: str
    client_folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables of a command that may use the context."""
        return {"DOCKER_CONFIG": str(self.client_folder)}

    def docker(self, *arguments: str) -> str:
        """Run a docker command on this engine; return its output."""
        result = subprocess.run(
            ["docker", "--context", self.context, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **self.variables},
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


@contextlib.contextmanager
def running_engine(folder: Path) -> Iterator[SecondEngine]:
    """Start an engine with its data in `folder`; stop and remove it at the end."""
    suffix = uuid.uuid4().hex[:8]
    name, bridge = f"ops-e2e-{suffix}", f"ops{suffix}"
    folder.mkdir(parents=True)
    address = f"unix://{folder}/docker.sock"
    command = [
        *("dockerd", "--host", address, "--pidfile", f"{folder}/pid"),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
        *("--bridge", bridge, "--iptables=false", "--ip6tables=false"),
        *("--containerd-namespace", name, "--containerd-plugins-namespace", f"{name}-plugins"),
    ]
    log = folder / "log"
    # Not `--bridge none`: it removes docker0, which belongs to the first engine.
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        engine = SecondEngine(name, folder / "client")
        _run(engine, "context", "create", name, "--docker", f"host={address}")

        def responds() -> bool:
            assert process.poll() is None, f"dockerd ended:\n{log.read_text()[-2000:]}"
            return _run(engine, "--context", name, "version") == 0

        wait_until(responds, START_SECONDS, "the second engine did not start")
        yield engine
    finally:
        stop_process(process, 30)
        subprocess.run(["ip", "link", "delete", bridge], capture_output=True)
        # dockerd bind-mounts its data root onto itself; a killed one leaves the mount behind.
        while subprocess.run(["umount", f"{folder}/data"], capture_output=True).returncode == 0:
            pass
        shutil.rmtree(folder)


def _run(engine: SecondEngine, *arguments: str) -> int:
    """Run a docker command with the engine's context known; return its exit status."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, env={**os.environ, **engine.variables}
    ).returncode
