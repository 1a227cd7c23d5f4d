"""compose.exposure: each published port has an address and is in the contract."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.compose_file import ComposeFacts


@check(
    "compose.exposure",
    "compose",
    title="Each published port is bound to an address and is in the contract",
    why="A port without an address is open on every network of the host, past its firewall: "
    "Docker writes its own rules.",
    remedy='Write `ports: ["127.0.0.1:8000:8000"]`, or a variable whose default is the loopback.',
    reference="CIS Docker Benchmark 1.6: 5.9, 5.14; https://docs.docker.com/engine/network/"
    "packet-filtering-firewalls/",
)
def exposure(contract: Contract, facts: ComposeFacts) -> Iterator[Finding]:
    """Fail for ports on every address, and for ports that the service's contract does not have."""
    contract_ports: dict[str, set[int]] = {}
    for image in contract.images.values():
        contract_ports.setdefault(image.service, set()).update(image.ports)
    for name, service in facts.services.items():
        for port in service.ports:
            if _is_every_address(port.address):
                yield Finding(
                    f"{name} publishes port {port.target} on every address, expected one: "
                    f"`127.0.0.1:{port.published}:{port.target}`",
                    file=contract.compose,
                    measured=port.address or "no address",
                    bound="127.0.0.1",
                )
            elif name in contract_ports and port.target not in contract_ports[name]:
                expected = ", ".join(map(str, sorted(contract_ports[name]))) or "none"
                yield Finding(
                    f"{name} publishes port {port.target}, its contract has {expected}: remove it",
                    file=contract.compose,
                    measured=port.target,
                    bound=expected,
                )


def _is_every_address(address: str) -> bool:
    """Return whether a port is open on every address: none is written, or 0.0.0.0 or ::."""
    if not address:
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_unspecified
    except ValueError:
        return False
