"""Tests of the idle container: its program, its options, and its removal."""

from __future__ import annotations

import platform
import stat
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import MachineError
from imageproof.runtime.idle_container import CODE, idle_container, idle_program


class FakeDocker:
    """A fake client that records the calls for containers, in order."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.container = self
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> None:
            if name == "copy":
                file = arguments[0]
                options = {"mode": stat.S_IMODE(file.stat().st_mode), "bytes": file.read_bytes()}
            self.calls.append((name, arguments, options))
            if name == self.failing:
                raise MachineError("idle", "no room")

        return call

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


def test_idle_container_is_confined_and_removed():
    docker = FakeDocker()
    engine: Any = SimpleNamespace(whales=docker)
    with idle_container(engine, "sha256:1", "amd64", "10001:10001") as name:
        assert docker.names() == ["create", "copy", "start"]
    assert docker.names()[-1] == "remove"
    created = docker.calls[0]
    assert created[1] == ("sha256:1",)
    assert created[2]["entrypoint"] == f"/{name}"
    assert created[2]["user"] == "10001:10001"
    assert "read_only" not in created[2]
    assert created[2]["cap_drop"] == ["ALL"]
    assert created[2]["networks"] == ["none"]
    assert created[2]["healthcheck"] is False
    copied = docker.calls[1]
    assert copied[1][1] == (name, f"/{name}")
    assert copied[2] == {"mode": 0o755, "bytes": idle_program("amd64")}
    assert docker.calls[-1][1:] == ((name,), {"force": True, "volumes": True})


@pytest.mark.parametrize("failing", ["create", "copy", "start"])
def test_failed_idle_container_is_removed(failing):
    docker = FakeDocker(failing)
    engine: Any = SimpleNamespace(whales=docker)
    with pytest.raises(MachineError), idle_container(engine, "sha256:1", "amd64", "1:1"):
        pytest.fail("the container started")
    assert docker.names()[-1] == "remove"


def test_unknown_architecture_is_refused():
    docker = FakeDocker()
    engine: Any = SimpleNamespace(whales=docker)
    with (
        pytest.raises(MachineError, match="mips"),
        idle_container(engine, "sha256:1", "mips", "1:1"),
    ):
        pytest.fail("the container started")
    assert docker.names() == []


def test_program_sleeps_and_ends(tmp_path):
    """The real program, run by this host."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        pytest.skip(f"there is no program for {platform.machine()}")
    for seconds in (0, 60):
        file = tmp_path / f"idle-{seconds}"
        file.write_bytes(idle_program(machine, seconds) or b"")
        file.chmod(0o755)
    assert subprocess.run([tmp_path / "idle-0"], timeout=10).returncode == 0
    with subprocess.Popen([tmp_path / "idle-60"]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()


@pytest.mark.parametrize("machine", sorted(CODE))
def test_time_follows_the_code(machine):
    binary = idle_program(machine, 77) or b""
    assert len(CODE[machine][1]) == 32
    assert binary[:4] == b"\x7fELF"
    assert int.from_bytes(binary[-16:-8], "little") == 77
