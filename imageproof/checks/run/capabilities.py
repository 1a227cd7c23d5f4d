"""run.capabilities: no process has a capability or can get one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import PROC_STATUS, observed_processes

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts

# The name of each bit: capabilities(7).
NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID"),
    *("SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN"),
    *("NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT"),
    *("SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE"),
    *("SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL"),
    *("SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND"),
    *("AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)


@check(
    "run.capabilities",
    "containers",
    title="No process has a capability or can get one",
    why="Docker's default is fourteen capabilities, such as raw sockets and changing file owners. "
    "Root has them at once, other users through a program with file capabilities. A service above "
    "port 1023 needs none.",
    remedy="Write `cap_drop: [ALL]` and no `cap_add` in the compose file; ship no file with "
    "capabilities.",
    reference=f"CIS Docker Benchmark 5.4; {PROC_STATUS}; capabilities(7)",
)
def capabilities(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process with a capability in any of its sets.

    A process has the capabilities of the first three sets, and can get those of the other two.
    """
    for item in observed_processes(facts):
        if isinstance(item, Finding):
            yield item
            continue
        name, process = item
        current = process.effective | process.permitted | process.ambient
        possible = process.inheritable | process.bounding
        if current or possible:
            verb = "has" if current else "can get"
            yield Finding(
                f"{name} {verb} the capabilities {_names(current or possible)}, expected none",
                measured=f"{current or possible:#x}",
                bound="0",
            )


def _names(bits: int) -> str:
    """Return the names of a set's capabilities; a number for one that is not in the list."""
    names = dict(enumerate(NAMES))
    return " ".join(names.get(bit, str(bit)) for bit in range(bits.bit_length()) if bits >> bit & 1)
