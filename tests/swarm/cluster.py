"""A swarm of three nodes on one machine, and a network of their own.

Each node is a Docker daemon in namespaces of its own: network, host name, mounts, processes. They
are joined by veth to a bridge in a fourth network namespace, the hub, where a registry serves the
images and whoever asks the nodes sits. What a namespace holds is gone with its last process, so
that nothing is left of a node that is killed: no mount, no container, no address.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.commands import wait_until

PREFIX = "upgrade-gate-swarm"
HUB = "192.0.2.254"  # TEST-NET-1 (RFC 5737): nobody's, and nobody outside sees it
REGISTRY = f"{HUB}:5000"
NODES = (1, 2, 3)
START_SECONDS = 60

CLONE_NEWNET = 0x40000000
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/*")  # v2, v1


@dataclass(frozen=True)
class Node:
    """A node: its name is that of its host, and of its end of the link in the hub."""

    number: int
    folder: Path
    namespace: str
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def address(self) -> str:
        return f"192.0.2.{self.number}"

    @property
    def host(self) -> str:
        """As DOCKER_HOST names its engine."""
        return f"unix://{self.folder}/docker.sock"

    def docker(self, *arguments: str, given: bytes | None = None) -> str:
        result = subprocess.run(
            ["docker", "--host", self.host, *arguments], input=given, capture_output=True
        )
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode().strip()

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return (self.folder / "docker.sock").exists() and self._version() == 0

    def _version(self) -> int:
        command = ["docker", "--host", self.host, "version"]
        return subprocess.run(command, capture_output=True).returncode


@dataclass(frozen=True)
class Swarm:
    """The nodes, the first of them the manager, and threads that sit in the hub."""

    nodes: tuple[Node, ...]
    hub: str
    inside: ThreadPoolExecutor = field(repr=False)

    @property
    def manager(self) -> Node:
        """The one that is asked: another manager that comes back makes all of them elect anew."""
        return self.nodes[0]

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def link(self, node: Node, state: str) -> None:
        """Pull a node's cable, or plug it in again: `down`, `up`."""
        ip("-n", self.hub, "link", "set", node.name, state)

    def ready(self, node: Node) -> bool:
        """Whether the manager sees a node."""
        states = self.manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}")
        return f"{node.name} Ready" in states.splitlines()


def ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"


@contextlib.contextmanager
def running() -> Iterator[Swarm]:
    """Three nodes in one swarm; removed whatever happens."""
    sweep()
    prefix = f"{PREFIX}-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
    with contextlib.ExitStack() as stack:
        # Of thousands of files in layers, rm is done in a fraction of the time.
        stack.callback(subprocess.run, ["rm", "-rf", str(folder)], check=True)
        hub = stack.enter_context(_network(prefix))
        stack.enter_context(_registry(hub, folder))
        nodes = tuple(stack.enter_context(_node(prefix, n, folder)) for n in NODES)
        stack.callback(lambda: [node.process.kill() for node in nodes])  # at once
        for node in nodes:
            wait_until(node.answers, START_SECONDS, f"{node.name} does not answer")
        _join(nodes)
        inside = ThreadPoolExecutor(8, initializer=_enter, initargs=(f"/run/netns/{hub}",))
        with inside:
            yield Swarm(nodes, hub, inside)


def sweep() -> None:
    """Remove the networks of runs that were killed before they could."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        name = line.split()[0]
        owner = name.removeprefix(f"{PREFIX}-").partition("-")[0]
        if name.startswith(PREFIX) and not Path("/proc", owner).exists():
            ip("netns", "del", name)


@contextlib.contextmanager
def _network(prefix: str) -> Iterator[str]:
    """A bridge in a namespace, and a namespace a node, each with a link to it."""
    hub, made = f"{prefix}-hub", []
    try:
        made.append(hub)
        ip("netns", "add", hub)
        ip("-n", hub, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", hub, "addr", "add", f"{HUB}/24", "dev", "bridge")
        ip("-n", hub, "link", "set", "bridge", "up")
        for n in NODES:
            name, own = f"node{n}", f"{prefix}-{n}"
            made.append(own)
            ip("netns", "add", own)
            ip("-n", own, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", hub)
            ip("-n", hub, "link", "set", name, "master", "bridge", "up")
            ip("-n", own, "addr", "add", f"192.0.2.{n}/24", "dev", "eth0")
            ip("-n", own, "link", "set", "eth0", "up")
            ip("-n", own, "link", "set", "lo", "up")
            ip("-n", own, "route", "add", "default", "via", HUB)
        yield hub
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@contextlib.contextmanager
def _registry(hub: str, folder: Path) -> Iterator[None]:
    settings = folder / "registry.yaml"
    settings.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{REGISTRY}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
    )
    command = ["docker-registry", "serve", str(settings)]
    process = _within(hub, command, folder / "registry.log")
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _node(prefix: str, number: int, parent: Path) -> Iterator[Node]:
    folder = parent / f"node{number}"
    folder.mkdir()
    group = f"{prefix}-{number}"
    daemon = [
        *("dockerd", f"--host=unix://{folder}/docker.sock", f"--data-root={folder}/data"),
        *(f"--exec-root={folder}/run", f"--pidfile={folder}/pid", f"--cgroup-parent=/{group}"),
        # Another engine's containerd, where the machine runs one for all, is not to be met.
        *(f"--containerd-namespace={group}", f"--containerd-plugins-namespace={group}-plugins"),
        *(f"--insecure-registry={REGISTRY}", "--no-new-privileges"),
    ]
    # The first process of a namespace of processes takes all others with it.
    own = ["unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    start = ["sh", "-c", 'hostname "$0" && exec "$@"', f"node{number}", *daemon]
    process = _within(f"{prefix}-{number}", [*own, *start], folder / "log")
    try:
        yield Node(number, folder, group, process)
    finally:
        process.kill()
        process.wait()
        _remove_cgroup(group)


def _within(namespace: str, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a network namespace, that dies with this one."""
    with log.open("wb") as file:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "nsenter", f"--net=/run/netns/{namespace}", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


def _remove_cgroup(group: str) -> None:
    """The folders that the engine leaves behind, of each controller; they are empty."""
    found = [root / group for glob in CGROUPS for root in Path("/").glob(glob[1:])]

    def gone() -> bool:
        for folder in found:
            with contextlib.suppress(OSError):
                for path, _, _ in os.walk(folder, topdown=False):
                    os.rmdir(path)  # noqa: PTH106  # os.walk gives texts
        return not any(folder.exists() for folder in found)

    wait_until(gone, 20, f"the processes of {group} do not end")


def _join(nodes: tuple[Node, ...]) -> None:
    """One swarm of them, that notices within three seconds that a node is gone."""
    first, *others = nodes
    first.docker("swarm", "init", f"--advertise-addr={first.address}", "--dispatcher-heartbeat=1s")
    token = first.docker("swarm", "join-token", "--quiet", "worker")
    for node in others:
        node.docker(
            *("swarm", "join", f"--token={token}", f"--advertise-addr={node.address}"),
            f"{first.address}:2377",
        )
    first.docker("node", "update", "--label-add", "reviews=here", first.name)


def _enter(namespace: str) -> None:
    """Let the calling thread sit in a network namespace (setns(2)); Python 3.12 has os.setns."""
    with Path(namespace).open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"entering {namespace}")
