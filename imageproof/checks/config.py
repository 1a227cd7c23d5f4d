"""config.*: the image's configuration."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import SHARED_FOLDERS, is_within
from imageproof.checks.stop_signals import signal_number

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

SHELLS = {"sh", "bash", "dash", "ash", "busybox"}
MIN_UNPRIVILEGED_PORT = 1024  # ip(7)
# A command that always succeeds, or ends in such a command.
_CANNOT_FAIL = re.compile(r"(?:^|\|\||;)\s*(?:(?:/usr)?(?:/bin/)?true|:|exit 0)\s*$")
# Variables that load foreign code into a program: ld.so(8), bash(1), perlrun(1),
# https://docs.python.org/3/using/cmdline.html#environment-variables.
INJECTING = frozenset(
    {"LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT"}
    | {"BASH_ENV", "PERL5OPT", "RUBYOPT"}
)
# Variables with harmless uses: only these options in them load foreign code.
INJECTING_OPTIONS = {
    "NODE_OPTIONS": re.compile(
        r"(?:^|\s)(?:-r|--require|--import|--(?:experimental-)?loader|--inspect)"
    ),
    "JAVA_TOOL_OPTIONS": re.compile(r"-(?:javaagent|agentlib|agentpath):"),
}
SEARCH_PATHS = ("PATH", "PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH")


@check(
    "config.exec-form",
    "image",
    title="The command is the contract's, in exec form",
    why="In shell form a shell is PID 1 and does not forward SIGTERM: each stop takes its whole "
    "timeout and ends in SIGKILL.",
    remedy='Write CMD ["program", "argument"] as a JSON list, and make it the contract\'s command.',
    reference="https://docs.docker.com/reference/dockerfile/#shell-and-exec-form",
)
def exec_form(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail if a shell starts the program, or if the command is not the contract's."""
    command = (*facts.entrypoint, *facts.command)
    actual, expected = " ".join(command), " ".join(contract.command)
    shown = f"`{actual}`" if command else "not set"
    if len(command) > 1 and command[0].rpartition("/")[2] in SHELLS and command[1] == "-c":
        yield Finding(
            f"a shell runs the command {shown}, expected exec form of `{expected}`",
            measured=actual,
            bound=expected,
        )
    elif command != contract.command:
        yield Finding(
            f"the command is {shown}, the contract's is `{expected}`",
            measured=actual,
            bound=expected,
        )


@check(
    "config.healthcheck",
    "image",
    title="A health check exists, can fail, and notices a failure in time",
    why="Without a health check, a service that hangs counts as running. With long intervals, the "
    "failure is noticed late.",
    remedy="Add a HEALTHCHECK in exec form, with (interval + timeout) x retries within the "
    "contract's notices_within.",
    reference="CIS Docker Benchmark 4.6; https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def healthcheck(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail if there is no health check, if it cannot fail, and if it notices a failure too late."""
    probe = facts.healthcheck
    if probe is None:
        yield Finding("there is no HEALTHCHECK")
        return
    command = " ".join(probe.test[1:]).strip()
    if _CANNOT_FAIL.search(command):
        yield Finding(f"the health check cannot fail: {command}")
    limit = contract.health.notices_within
    if probe.notices_within > limit:
        yield Finding(
            f"the health check notices a failure after up to {probe.notices_within:g} s, "
            f"the limit is {limit:g} s",
            measured=probe.notices_within,
            bound=limit,
        )


@check(
    "config.labels",
    "image",
    title="The image has every label of the contract",
    why="A label tells an operator what an unknown image is and where it came from.",
    remedy="Add the LABEL to the last stage of the Dockerfile.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
)
def labels(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each label that is missing or empty."""
    for name in contract.labels:
        if not facts.labels.get(name):
            yield Finding(f"the label {name} is missing or empty")


@check(
    "config.ports",
    "image",
    title="The exposed ports are the contract's, and none is privileged",
    why="EXPOSE documents the ports that listen. A port below 1024 needs a capability or root.",
    remedy="Make EXPOSE and the contract's ports equal; listen above port 1023.",
    reference="CIS Docker Benchmark 5.8; https://docs.docker.com/reference/dockerfile/#expose",
)
def ports(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each extra, missing or privileged port."""
    exposed = {int(port.partition("/")[0]) for port in facts.ports}
    expected = set(contract.ports)
    for port in sorted(exposed - expected):
        yield Finding(f"port {port} is exposed, but not in the contract", measured=port)
    for port in sorted(expected - exposed):
        yield Finding(f"port {port} is in the contract, but not exposed", bound=port)
    for port in sorted(exposed):
        if port < MIN_UNPRIVILEGED_PORT:
            yield Finding(
                f"port {port} is privileged, expected {MIN_UNPRIVILEGED_PORT} or above",
                measured=port,
                bound=MIN_UNPRIVILEGED_PORT,
            )


@check(
    "config.workdir",
    "image",
    title="The working directory is the contract's, and absolute",
    why="Relative paths and Python's module search depend on the working directory.",
    remedy="Set WORKDIR to an absolute path in the last stage of the Dockerfile.",
    reference="CIS Docker Benchmark 4; https://docs.docker.com/reference/dockerfile/#workdir",
)
def workdir(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a relative folder, and for one other than the contract's."""
    folder = facts.workdir or "/"
    if not folder.startswith("/"):
        yield Finding(f"the working directory {folder} is relative", measured=folder)
    elif contract.workdir is not None and folder.rstrip("/") != contract.workdir.rstrip("/"):
        yield Finding(
            f"the working directory is {folder}, the contract's is {contract.workdir}",
            measured=folder,
            bound=contract.workdir,
        )


@check(
    "config.volumes",
    "image",
    title="The declared volumes are the contract's",
    why="Each VOLUME gives each container an anonymous volume. It is writable even if the root is "
    "not, and stays when the container is removed.",
    remedy="Remove VOLUME from the Dockerfile; name volumes in the compose file.",
    reference="https://docs.docker.com/reference/dockerfile/#volume",
)
def volumes(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each extra and each missing volume."""
    declared = {path.rstrip("/") or "/" for path in facts.volumes}
    expected = {path.rstrip("/") or "/" for path in contract.volumes}
    for path in sorted(declared - expected):
        yield Finding(f"the volume {path} is declared, but not in the contract", measured=path)
    for path in sorted(expected - declared):
        yield Finding(f"the volume {path} is in the contract, but not declared", bound=path)


@check(
    "config.env",
    "image",
    title="The environment is the contract's, and injects no code",
    why="LD_PRELOAD and similar variables run code before the program. If the program can write a "
    "folder of PATH, an intruder can put programs there.",
    remedy="Set the contract's `env` by ENV in the last stage; remove variables that inject code.",
    reference="ld.so(8); https://docs.docker.com/reference/dockerfile/#env; CWE-426, CWE-427",
)
def env(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a value other than the contract's, an injecting variable, or an unsafe search path.

    A variable in the contract's `env` may have any value there.
    """
    for name, value in contract.env.items():
        if facts.environment.get(name) != value:
            # The actual value may be a secret.
            is_set = name in facts.environment
            actual = "has another value" if is_set else "is not set"
            yield Finding(
                f"{name} {actual}, the contract's is {value!r}",
                measured="another value" if is_set else "not set",
                bound=value,
            )
    for name, value in facts.environment.items():
        if name in contract.env or not value:
            continue
        options = INJECTING_OPTIONS.get(name)
        if name in INJECTING or (options and options.search(value)):
            yield Finding(f"{name} loads code into every program that starts")
        elif name in SEARCH_PATHS:
            yield from _unsafe_folders(name, value, contract)


def _unsafe_folders(name: str, value: str, contract: ServiceContract) -> Iterator[Finding]:
    """Yield a finding for each unsafe folder; an empty one is the current folder (environ(7))."""
    writable = (*contract.writable, *SHARED_FOLDERS)
    for folder in dict.fromkeys(value.split(":")):
        if not folder.startswith("/"):
            yield Finding(f"{name} has the relative folder {folder!r}", measured=folder)
        elif is_within(posixpath.normpath(folder), writable):
            yield Finding(f"{name} has {folder}, which the program can write", measured=folder)


@check(
    "config.stop-signal",
    "image",
    title="The stop signal is the contract's",
    why="A program that does not handle the stop signal is killed when the timeout ends.",
    remedy="Set STOPSIGNAL in the Dockerfile, or stop_signal in the contract.",
    reference="https://docs.docker.com/reference/dockerfile/#stopsignal",
)
def stop_signal(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for another signal, compared by number: SIGQUIT, quit and 3 are equal."""
    actual = facts.stop_signal or "SIGTERM"
    if _normal_signal(actual) != _normal_signal(contract.stop_signal):
        yield Finding(
            f"the stop signal is {actual}, the contract's is {contract.stop_signal}",
            measured=actual,
            bound=contract.stop_signal,
        )


def _normal_signal(name: str) -> int | str:
    """Return the number of a signal, or its name in one form if the number is unknown."""
    return signal_number(name) or name.upper().removeprefix("SIG")
