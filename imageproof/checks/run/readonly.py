"""What a running container can reach: files, memory, ports, and the environment it was given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import looked

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Socket, Writes

# A small tmpfs of its own, noexec, that the engine gives every container.
ENGINES_OWN = ("/dev/shm",)  # noqa: S108 - a name, nothing is written there
# The engine sets these by itself; the ones in the middle where its client is told of a proxy.
ENGINES_VARIABLES = {
    *("PATH", "HOSTNAME", "HOME", "TERM"),
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"),
    *("PWD", "OLDPWD", "SHLVL", "_"),  # a shell that started it does
}
# A UDP socket of such a port belongs to whoever asked something (ip(7): ip_local_port_range).
EPHEMERAL = range(32768, 61000)
MOST_CHANGES = 5
LIMITS = {"memory": "bytes", "pids": "processes", "cpu": "processors"}


def _within(path: str, allowed: Iterable[str]) -> bool:
    return any((path + "/").startswith(place.rstrip("/") + "/") for place in allowed)


@check(
    "run.readonly",
    "containers",
    title="Only the contract's paths take writes, tried in the running container",
    why="What an attacker cannot write does not stay: no program left behind, no changed code. "
    "And what the service writes elsewhere is lost at its next start.",
    remedy="`read_only: true` in the compose file, `tmpfs:` or a volume for what it must write, and "
    "[tool.imageproof.images.*.writable] for those; files and folders of the image owned by root.",
    reference="CIS Docker Benchmark 5.13; path_resolution(7)",
)
def readonly(terms: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for a root that is not read-only, for each path that takes a write where the contract
    names none (with the read-only root, and without it), and for what was written to the root."""
    allowed = (*terms.writable, *ENGINES_OWN)
    told: set[str] = set()
    for part in ("writes", "image_writes", "changed"):
        for seen in looked(facts, part):
            if isinstance(seen, Finding):
                if seen.message not in told:
                    yield seen
                told.add(seen.message)
                continue
            container, value = seen
            if part == "changed":
                yield from _changes(container, terms)
            else:
                yield from _tried(container, value, allowed, told, bare=part == "image_writes")


def _tried(
    container: ContainerFacts,
    writes: Writes,
    allowed: Sequence[str],
    told: set[str],
    *,
    bare: bool,
) -> Iterator[Finding]:
    where = "the image, its root not read-only" if bare else "the running container"
    if not bare and not writes.read_only:
        yield Finding(f"{container.name}: its root file system is not mounted read-only", file="/")
    for path in writes.paths:
        if path not in told and not _within(path, allowed):
            told.add(path)
            yield Finding(f"{container.name}: {writes.user} can write {path} in {where}", file=path)
    if writes.cut or not writes.tried:
        why = writes.cut or "nothing was tried"
        yield Finding(f"{container.name}: not all of {where} was tried: {why}", unknown=True)


def _changes(container: ContainerFacts, terms: ServiceContract) -> Iterator[Finding]:
    """What `docker diff` tells, but for the places that the engine made to mount something on."""
    places = [place for place in (*container.mounts, *terms.writable) if place != "/"]
    changed = container.changed or ()
    told = [
        path
        for path in changed
        if not _within(path, places)
        # a folder in which something changed has changed itself
        and not any(path != other and _within(other, [path]) for other in (*places, *changed))
    ]
    for path in told[:MOST_CHANGES]:
        yield Finding(
            f"{container.name}: {path} is not what the image has (docker diff)", file=path
        )
    if more := told[MOST_CHANGES:]:
        yield Finding(f"{container.name}: nor are {len(more)} more files and folders")


@check(
    "run.limits",
    "containers",
    title="The kernel bounds memory, processes and processors",
    why="Without bounds, one service that leaks or forks takes the whole machine with it. An "
    "engine that cannot set one says so in a warning at most.",
    remedy="`mem_limit`, `pids_limit` and `cpus` in the compose file, or `deploy.resources.limits`.",
    reference="CIS Docker Benchmark 5.11, 5.12, 5.29; cgroups(7)",
)
def limits(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each bound that the container's cgroup does not have."""
    for seen in looked(facts, "limits"):
        if isinstance(seen, Finding):
            yield seen
            continue
        container, found = seen
        for name, unit in LIMITS.items():
            if name in found.missing:
                yield Finding(
                    f"{container.name}: the kernel does not say how {name} is bounded", unknown=True
                )
            elif getattr(found, name) is None:
                asked = getattr(container.requested_limits, name)
                though = f", though the engine was told {_plain(asked)} {unit}" if asked else ""
                yield Finding(
                    f"{container.name}: {name} is not bounded{though}", measured="unbounded"
                )


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _loopback(address: str) -> bool:
    """Whether nobody outside the container reaches it: the engine's name server is such a one."""
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def _reachable(sockets: Sequence[Socket]) -> dict[tuple[str, int], Socket]:
    """What others can speak to, by protocol and port."""
    return {
        (socket.protocol[:3], socket.port): socket
        for socket in sockets
        if not _loopback(socket.address)
        and not (socket.protocol.startswith("udp") and socket.port in EPHEMERAL)
    }


@check(
    "run.listening",
    "containers",
    title="The contract's ports listen, and no other",
    why="A debugger, a metrics page or a development server beside the service is open to every "
    "container of its network, and one that listens on the loopback only is open to nobody.",
    remedy="Close what need not listen, bind what only the container uses to 127.0.0.1; or name the "
    "port in [tool.imageproof.images.*.ports].",
    reference="CIS Docker Benchmark 5.9; proc(5): /proc/net/tcp",
)
def listening(terms: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each port that others reach and the contract does not name, or the reverse."""
    for seen in looked(facts, "sockets"):
        if isinstance(seen, Finding):
            yield seen
            continue
        container, sockets = seen
        if not container.processes:
            yield Finding(f"{container.name}: the probe saw no process", unknown=True)
            continue
        names = {process.pid: process.name for process in container.processes}
        reachable = _reachable(sockets)
        for (protocol, port), socket in reachable.items():
            if port not in terms.ports:
                yield Finding(
                    f"{container.name}: process {socket.pid} ({names.get(socket.pid)}) listens on "
                    f"{socket.address}, {protocol} port {port}",
                    measured=port,
                    bound=" ".join(map(str, terms.ports)) or "none",
                )
        heard = {port for _, port in reachable}
        for port in terms.ports:
            if port not in heard:
                inside = any(socket.port == port for socket in sockets)
                how = "listens on the loopback only" if inside else "listens to nobody"
                yield Finding(f"{container.name}: port {port} {how}", bound=port)


@check(
    "run.environment",
    "containers",
    title="The service has the environment that the compose file passes, and nothing else",
    why="A variable that an older start, an override or an env_file brought makes a service "
    "behave as no file of the project says; one that did not arrive, too.",
    remedy="`./inv up` makes the containers anew; remove what overrides the compose file.",
    reference="https://docs.docker.com/compose/how-tos/environment-variables/envvars-precedence/",
)
def environment(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each variable that is missing, differs, or that nobody passes. Values are not
    known here: their digests are compared."""
    for seen in looked(facts, "environment"):
        if isinstance(seen, Finding):
            yield seen
            continue
        container, found = seen
        who = f"{container.name}: the service"
        for name, value in found.passed.items():
            if name not in found.received:
                yield Finding(f"{who} lacks {name}, which the compose file passes")
            elif found.received[name] != value:
                yield Finding(f"{who} has another {name} than the compose file passes")
        for name in sorted(found.received.keys() - found.passed.keys()):
            if name not in found.image:
                if name not in ENGINES_VARIABLES:
                    yield Finding(f"{who} has {name}, which nobody passes")
            elif found.received[name] != found.image[name]:
                yield Finding(f"{who} has another {name} than its image sets")
