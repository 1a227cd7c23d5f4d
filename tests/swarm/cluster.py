"""Swarm of three nodes on one machine.

Each node is a Docker daemon in its own namespaces (network, host name, mounts, processes). veth
pairs connect the nodes to a bridge in a fourth network namespace, the hub, which also holds the
registry and the clients. The kernel frees a namespace with its last process, so a killed node
leaves no mount, container or address behind.
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
HUB = "192.0.2.254"  # TEST-NET-1 (RFC 5737), visible only in the namespaces
REGISTRY = f"{HUB}:5000"
NODES = (1, 2, 3)
START_SECONDS = 60

CLONE_NEWNET = 0x40000000
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/*")  # v2, v1


@dataclass(frozen=True)
class Node:
    """Node of the swarm. Its host name is also the name of its link in the hub."""

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
        """DOCKER_HOST of its engine."""
        return f"unix://{self.folder}/docker.sock"

    def docker(self, *arguments: str, stdin: bytes | None = None) -> str:
        result = subprocess.run(
            ["docker", "--host", self.host, *arguments], input=stdin, capture_output=True
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
    """Nodes, of which the first is the manager, and threads in the hub's network."""

    nodes: tuple[Node, ...]
    hub: str
    inside: ThreadPoolExecutor = field(repr=False)

    @property
    def manager(self) -> Node:
        """The only manager: a second one that reconnects would trigger a new election."""
        return self.nodes[0]

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def link(self, node: Node, state: str) -> None:
        """Set a node's network link to `down` or `up`."""
        ip("-n", self.hub, "link", "set", node.name, state)

    def ready(self, node: Node) -> bool:
        """Return whether the manager reports the node as ready."""
        states = self.manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}")
        return f"{node.name} Ready" in states.splitlines()


def ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"


@contextlib.contextmanager
def running() -> Iterator[Swarm]:
    """Start three nodes in one swarm, and remove them at the end."""
    sweep()
    prefix = f"{PREFIX}-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
    with contextlib.ExitStack() as stack:
        # rm is much faster than shutil.rmtree for the thousands of files in layers.
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
    """Remove the network namespaces of killed runs."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        name = line.split()[0]
        owner = name.removeprefix(f"{PREFIX}-").partition("-")[0]
        if name.startswith(PREFIX) and not Path("/proc", owner).exists():
            ip("netns", "del", name)


@contextlib.contextmanager
def _network(prefix: str) -> Iterator[str]:
    """Create the hub with a bridge, and a linked namespace per node."""
    hub, created = f"{prefix}-hub", []
    try:
        created.append(hub)
        ip("netns", "add", hub)
        ip("-n", hub, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", hub, "addr", "add", f"{HUB}/24", "dev", "bridge")
        ip("-n", hub, "link", "set", "bridge", "up")
        for n in NODES:
            name, own = f"node{n}", f"{prefix}-{n}"
            created.append(own)
            ip("netns", "add", own)
            ip("-n", own, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", hub)
            ip("-n", hub, "link", "set", name, "master", "bridge", "up")
            ip("-n", own, "addr", "add", f"192.0.2.{n}/24", "dev", "eth0")
            ip("-n", own, "link", "set", "eth0", "up")
            ip("-n", own, "link", "set", "lo", "up")
            ip("-n", own, "route", "add", "default", "via", HUB)
        yield hub
    finally:
        for name in created:
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
        # Separate from the machine's own engine if both use one containerd.
        *(f"--containerd-namespace={group}", f"--containerd-plugins-namespace={group}-plugins"),
        *(f"--insecure-registry={REGISTRY}", "--no-new-privileges"),
    ]
    # If the first process of a PID namespace ends, the kernel kills all others.
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
    """Start a process in a network namespace; the kernel kills it when this process ends."""
    with log.open("wb") as file:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "nsenter", f"--net=/run/netns/{namespace}", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


def _remove_cgroup(group: str) -> None:
    """Remove the empty folders that the engine leaves in each cgroup controller."""
    folders = [root / group for glob in CGROUPS for root in Path("/").glob(glob[1:])]

    def gone() -> bool:
        for folder in folders:
            with contextlib.suppress(OSError):
                for path, _, _ in os.walk(folder, topdown=False):
                    os.rmdir(path)  # noqa: PTH106  # os.walk returns strings
        return not any(folder.exists() for folder in folders)

    wait_until(gone, 20, f"the processes of {group} do not end")


def _join(nodes: tuple[Node, ...]) -> None:
    """Join the nodes to one swarm, which notices a lost node within three seconds."""
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
    """Move the calling thread to a network namespace (setns(2)); Python 3.12 has os.setns."""
    with Path(namespace).open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"entering {namespace}")
