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
START_SECONDS = 60  # until the engine of a node answers

CLONE_NEWNET = 0x40000000
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/*")  # v2, v1


@dataclass(frozen=True)
class Node:
    """Node of the swarm. Its host name is also the name of its link in the hub."""

    number: int
    folder: Path
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

    def load(self, *images: str) -> None:
        """Copy images from the machine's engine to this node's."""
        save = ["docker", "image", "save", *images]
        with subprocess.Popen(save, stdout=subprocess.PIPE) as process:
            command = ["docker", "--host", self.host, "image", "load"]
            result = subprocess.run(command, stdin=process.stdout, capture_output=True)
        assert result.returncode == 0, result.stderr

    def answers(self) -> bool:
        """Return whether the engine answers. Fails with its log if it has ended."""
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        command = ["docker", "--host", self.host, "version"]
        socket = self.folder / "docker.sock"
        return socket.exists() and subprocess.run(command, capture_output=True).returncode == 0


@dataclass(frozen=True)
class Swarm:
    """Nodes in one swarm, and the hub that connects them."""

    nodes: tuple[Node, ...]
    hub: str  # network namespace
    inside: ThreadPoolExecutor = field(repr=False)  # threads in the hub's network

    @property
    def manager(self) -> Node:
        """The only manager: the reconnection of a second one would trigger an election."""
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
    remove_stale_namespaces()
    prefix = f"{PREFIX}-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
    with contextlib.ExitStack() as stack:
        # rm is much faster than shutil.rmtree for the thousands of files in layers.
        stack.callback(subprocess.run, ["rm", "-rf", str(folder)], check=True)
        hub = stack.enter_context(_network(prefix))
        stack.enter_context(_registry(hub, folder))
        nodes = tuple(stack.enter_context(_node(prefix, number, folder)) for number in NODES)
        # Kill all nodes first; each _node() then waits for the end of its own.
        stack.callback(lambda: [node.process.kill() for node in nodes])
        for node in nodes:
            wait_until(node.answers, START_SECONDS, f"{node.name} does not answer")
        _join(nodes)
        inside = ThreadPoolExecutor(8, initializer=_enter, initargs=(f"/run/netns/{hub}",))
        with inside:
            yield Swarm(nodes, hub, inside)


def remove_stale_namespaces() -> None:
    """Remove the network namespaces of killed runs."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        name = line.split()[0]
        process_id = name.removeprefix(f"{PREFIX}-").partition("-")[0]
        if name.startswith(PREFIX) and not Path("/proc", process_id).exists():
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
        for number in NODES:
            link, own = f"node{number}", f"{prefix}-{number}"
            created.append(own)
            ip("netns", "add", own)
            ip("-n", own, "link", "add", "eth0", "type", "veth", "peer", "name", link, "netns", hub)
            ip("-n", hub, "link", "set", link, "master", "bridge", "up")
            ip("-n", own, "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
            ip("-n", own, "link", "set", "eth0", "up")
            ip("-n", own, "link", "set", "lo", "up")
            ip("-n", own, "route", "add", "default", "via", HUB)
        yield hub
    finally:
        for namespace in created:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


@contextlib.contextmanager
def _registry(hub: str, folder: Path) -> Iterator[None]:
    """Run a registry at REGISTRY inside the block."""
    settings = folder / "registry.yaml"
    settings.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{REGISTRY}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
    )
    command = ["docker-registry", "serve", str(settings)]
    process = _start_in(hub, command, folder / "registry.log")
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _node(prefix: str, number: int, parent: Path) -> Iterator[Node]:
    """Run the engine of a node inside the block; _network() has made its network namespace."""
    folder = parent / f"node{number}"
    folder.mkdir()
    namespace = group = f"{prefix}-{number}"  # of the network; cgroup
    daemon = [
        *("dockerd", f"--host=unix://{folder}/docker.sock", f"--data-root={folder}/data"),
        *(f"--exec-root={folder}/run", f"--pidfile={folder}/pid", f"--cgroup-parent=/{group}"),
        # Namespaces of its own, in case the machine's engine uses the same containerd.
        *(f"--containerd-namespace={group}", f"--containerd-plugins-namespace={group}-plugins"),
        *(f"--insecure-registry={REGISTRY}", "--no-new-privileges"),
    ]
    # If the first process of a PID namespace ends, the kernel kills all others.
    own_namespaces = [
        "unshare",
        "--uts",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    start = ["sh", "-c", 'hostname "$0" && exec "$@"', f"node{number}", *daemon]
    process = _start_in(namespace, [*own_namespaces, *start], folder / "log")
    try:
        yield Node(number, folder, process)
    finally:
        process.kill()
        process.wait()
        _remove_cgroup(group)


def _start_in(namespace: str, command: list[str], log: Path) -> subprocess.Popen[bytes]:
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

    def removed() -> bool:
        for folder in folders:
            with contextlib.suppress(OSError):
                for path, _, _ in os.walk(folder, topdown=False):
                    os.rmdir(path)  # noqa: PTH106  # os.walk returns strings
        return not any(folder.exists() for folder in folders)

    wait_until(removed, 20, f"the processes of {group} do not end")


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
