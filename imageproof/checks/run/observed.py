"""What every process of a running container really is, as the kernel describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Process

PROC = "proc(5): /proc/PID/status"
FILTERED = 2  # the mode of seccomp(2) that a container's profile sets
SECCOMP_MODES = {0: "without a filter", 1: "in strict mode"}
# capabilities(7), by bit.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID"),
    *("SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN"),
    *("NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT"),
    *("SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE"),
    *("SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL"),
    *("SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND"),
    *("AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
# signal(7), the ones that a STOPSIGNAL may name.
SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "USR1": 10, "USR2": 12, "TERM": 15, "WINCH": 28}


def looked(
    containers: Sequence[ContainerFacts], part: str
) -> Iterator[tuple[ContainerFacts, Any] | Finding]:
    """That part of every container's facts, or why nobody saw it: which is never a pass."""
    if not containers:
        yield Finding("no container of this service is there", unknown=True)
    for container in containers:
        value = getattr(container, part)
        if value is None:
            yield Finding(f"{container.name}: {container.why(part)}", unknown=True)
        else:
            yield container, value


def _processes(containers: Sequence[ContainerFacts]) -> Iterator[tuple[str, Process] | Finding]:
    """Every process, or why there is none: seeing nothing is never a pass."""
    for seen in looked(containers, "processes"):
        if isinstance(seen, Finding):
            yield seen
            continue
        container, processes = seen
        if not processes:
            yield Finding(f"{container.name}: the probe saw no process", unknown=True)
        for process in processes:
            yield f"{container.name}: process {process.pid} ({process.name})", process


@check(
    "run.nonroot",
    "containers",
    title="Every process runs as the contract's user, by all of its ids and groups",
    why="What counts is who the process is, not what the image says: an entry point, a compose "
    "file or a setuid program may have made it root, and each further group opens files.",
    remedy="Remove `user:` and `group_add:` from the compose file, setuid programs and memberships "
    "in /etc/group from the image.",
    reference=f"CIS Docker Benchmark 4.1; {PROC}; credentials(7)",
)
def nonroot(terms: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process with another uid or gid, or with a group besides the contract's."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
            continue
        who, process = seen
        others = [group for group in process.groups if group != terms.gid]
        if set(process.uids) != {terms.uid} or set(process.gids) != {terms.gid}:
            yield Finding(
                f"{who} has uids {process.uids} and gids {process.gids}",
                measured=":".join(str(ids[1]) for ids in (process.uids, process.gids) if ids[1:]),
                bound=terms.user,
            )
        elif others:
            named = " ".join("root" if group == 0 else str(group) for group in others)
            yield Finding(
                f"{who} is in the group {named}",
                measured=" ".join(map(str, process.groups)),
                bound=terms.gid,
            )


def _names(bits: int) -> str:
    """Capabilities of a set, as people write them; by number what is newer than this list."""
    names = dict(enumerate(CAPABILITIES))
    return " ".join(names.get(n, str(n)) for n in range(bits.bit_length()) if bits >> n & 1)


@check(
    "run.capabilities",
    "containers",
    title="No process has a capability, nor could get one",
    why="Docker gives fourteen capabilities by default, among them raw sockets and changing file "
    "owners: root has them at once, and everybody else as soon as a program of the image brings "
    "them. A service above port 1023 needs none.",
    remedy="`cap_drop: [ALL]` in the compose file and no `cap_add`; no file capabilities in the "
    "image.",
    reference=f"CIS Docker Benchmark 5.4; {PROC}; capabilities(7)",
)
def capabilities(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process whose sets are not empty: the bounding set is what it could get."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
            continue
        who, process = seen
        has = process.effective | process.permitted | process.ambient
        could = process.inheritable | process.bounding
        if has or could:
            word = "has" if has else "could get"
            yield Finding(
                f"{who} {word} the capabilities {_names(has or could)}",
                measured=f"{has or could:#x}",
                bound="0",
            )


@check(
    "run.no-new-privileges",
    "containers",
    title="No process can gain privileges",
    why="With no_new_privs set, a setuid program is an ordinary one.",
    remedy='`security_opt: ["no-new-privileges:true"]` in the compose file.',
    reference="CIS Docker Benchmark 5.26; https://docs.kernel.org/userspace-api/no_new_privs.html",
)
def no_new_privileges(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process without no_new_privs."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
        elif not seen[1].no_new_privileges:
            yield Finding(f"{seen[0]} may gain privileges")


@check(
    "run.seccomp",
    "containers",
    title="Every process runs under a seccomp filter",
    why="The engine's profile refuses some fifty system calls that a service never needs, and "
    "that most ways out of a container begin with.",
    remedy="Remove `seccomp:unconfined` and `privileged` from the compose file.",
    reference="CIS Docker Benchmark 5.22; https://docs.docker.com/engine/security/seccomp/",
)
def seccomp(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each process whose mode is not 2, a filter."""
    for seen in _processes(facts):
        if isinstance(seen, Finding):
            yield seen
            continue
        who, process = seen
        if process.seccomp is None:
            yield Finding(f"{who}: this kernel does not say", unknown=True)
        elif process.seccomp != FILTERED:
            mode = SECCOMP_MODES.get(process.seccomp, f"in mode {process.seccomp}")
            yield Finding(f"{who} runs {mode}", measured=process.seccomp, bound=FILTERED)


@check(
    "run.pid1",
    "containers",
    title="The first process handles the stop signal",
    why="The kernel drops a signal that PID 1 has no handler for: each stop then takes its whole "
    "timeout, and ends in SIGKILL.",
    remedy="`init: true` in the compose file, or a handler in the program; no shell in front of it.",
    reference="pid_namespaces(7); https://docs.docker.com/reference/compose-file/services/#init",
)
def pid1(terms: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for a first process that neither catches the signal, nor blocks it to wait for it."""
    number = SIGNALS.get(terms.stop_signal.upper().removeprefix("SIG"))
    number = int(terms.stop_signal) if terms.stop_signal.isdecimal() else number
    for seen in looked(facts, "processes"):
        if isinstance(seen, Finding):
            yield seen
            continue
        container, processes = seen
        first = next((process for process in processes if process.pid == 1), None)
        if first is None:
            yield Finding(f"{container.name}: the probe saw no process 1", unknown=True)
        elif number is None:
            yield Finding(f"nothing is known of the signal {terms.stop_signal}", unknown=True)
        elif not _handles(first, number):
            if first.awaited is None and not _has(first.ignored, number):
                yield Finding(f"{container.name}: {container.why('awaited')}", unknown=True)
                continue
            how = "ignores" if _has(first.ignored, number) else "has no handler for"
            yield Finding(f"{container.name}: process 1 ({first.name}) {how} {terms.stop_signal}")


def _handles(process: Process, number: int) -> bool:
    return _has(process.caught | process.blocked | (process.awaited or 0), number)


def _has(signals: int, number: int) -> bool:
    return bool(signals >> (number - 1) & 1)
