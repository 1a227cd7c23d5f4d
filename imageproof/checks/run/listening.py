"""run.listening: the contract's ports listen, and no other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import no_process, observed

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Socket

# The kernel picks clients' ports from this range (ip(7): ip_local_port_range). A UDP socket in it
# belongs to a client, unless the contract names the port.
EPHEMERAL_PORTS = range(32768, 61000)


@check(
    "run.listening",
    "containers",
    title="The contract's ports listen, and no other",
    why="A debugger, a metrics page or a development server is open to every container of the "
    "network. A service that only listens on the loopback is open to none.",
    remedy="Close ports that need not listen, bind internal ones to 127.0.0.1, or add the port to "
    "[tool.imageproof.images.*.ports].",
    reference="CIS Docker Benchmark 5.9; proc(5): /proc/net/tcp",
)
def listening(contract: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each reachable port outside of the contract, and each unreachable one in it."""
    expected = " ".join(map(str, contract.ports)) or "none"
    for item in observed(facts, "sockets"):
        if isinstance(item, Finding):
            yield item
            continue
        container, sockets = item
        if not container.processes:
            yield no_process(container)
            continue
        names = {process.pid: process.name for process in container.processes}
        reachable = _reachable(sockets, contract.ports)
        for (protocol, port), socket in reachable.items():
            if port not in contract.ports:
                yield Finding(
                    f"{container.name}: process {socket.pid} ({names.get(socket.pid)}) listens on "
                    f"{socket.address}, {protocol} port {port}; the contract's ports: {expected}",
                    measured=port,
                    bound=expected,
                )
        reachable_ports = {port for _, port in reachable}
        for port in contract.ports:
            if port not in reachable_ports:
                on_loopback = any(socket.port == port for socket in sockets)
                problem = "listens only on the loopback" if on_loopback else "does not listen"
                yield Finding(
                    f"{container.name}: port {port} of the contract {problem}", bound=port
                )


def _reachable(
    sockets: Sequence[Socket], contract_ports: Collection[int]
) -> dict[tuple[str, int], Socket]:
    """Return the sockets that other containers can reach, by protocol and port."""
    return {
        (socket.protocol.removesuffix("6"), socket.port): socket
        for socket in sockets
        if not _is_loopback(socket.address)
        and (socket.port in contract_ports or not _belongs_to_client(socket))
    }


def _belongs_to_client(socket: Socket) -> bool:
    return socket.protocol.startswith("udp") and socket.port in EPHEMERAL_PORTS


def _is_loopback(address: str) -> bool:
    """Return whether an address is reachable from inside the container only.

    Docker's name server has such an address: 127.0.0.11.
    """
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
