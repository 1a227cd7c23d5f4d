"""The image's configuration: how it starts, and what it says of itself."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.fs import SHARED, below

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

# A whole command, or the end of one, that is always true
_CANNOT_FAIL = re.compile(r"(?:^|\|\||;)\s*(?:(?:/usr)?(?:/bin/)?true|:|exit 0)\s*$")
UNPRIVILEGED = 1024  # the first port that needs no capability (ip(7))
# What makes the loader or an interpreter run something else before the program: ld.so(8),
# bash(1), perlrun(1), https://docs.python.org/3/using/cmdline.html#environment-variables.
INJECTING = frozenset(
    {"LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT"}
    | {"BASH_ENV", "PERL5OPT", "RUBYOPT"}
)
# Variables that are often set for good reason, and the options in them that load code.
LOADING = {
    "NODE_OPTIONS": re.compile(
        r"(?:^|\s)(?:-r|--require|--import|--(?:experimental-)?loader|--inspect)"
    ),
    "JAVA_TOOL_OPTIONS": re.compile(r"-(?:javaagent|agentlib|agentpath):"),
}
LISTS = (
    "PATH",
    "PYTHONPATH",
    "NODE_PATH",
    "LD_LIBRARY_PATH",
)  # of folders where code is looked for
SIGNALS = {"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGUSR1": 10, "SIGUSR2": 12}
SIGNALS |= {"SIGTERM": 15, "SIGCONT": 18, "SIGSTOP": 19, "SIGWINCH": 28}  # signal(7), x86 and ARM
SHELLS = {"sh", "bash", "dash", "ash", "busybox"}


@check(
    "config.exec-form",
    "image",
    title="The command is in exec form, and is the contract's",
    why="In shell form a shell is PID 1: it does not pass SIGTERM on, so that each stop takes its "
    "whole timeout and ends in SIGKILL.",
    remedy='Write CMD ["program", "argument"], as a JSON list.',
    reference="https://docs.docker.com/reference/dockerfile/#shell-and-exec-form",
)
def exec_form(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail where a shell starts the program, or where something else is started."""
    started = (*facts.entrypoint, *facts.command)
    if len(started) > 1 and started[0].rpartition("/")[2] in SHELLS and started[1] == "-c":
        yield Finding(f"a shell starts it: {' '.join(started)}")
    elif started != terms.command:
        yield Finding(
            "it starts something else than the contract says",
            measured=" ".join(started),
            bound=" ".join(terms.command),
        )


@check(
    "config.healthcheck",
    "image",
    title="A health check is there, and notices a failure in time",
    why="Without one, a service that hangs counts as running; with lax times it is noticed late.",
    remedy="HEALTHCHECK with an exec-form probe; (interval + timeout) x retries within the "
    "contract's notices_within.",
    reference="CIS Docker Benchmark 4.6; https://docs.docker.com/reference/dockerfile/#healthcheck",
)
def healthcheck(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for none, for one that cannot fail, and for one that is too slow."""
    probe = facts.healthcheck
    if probe is None:
        yield Finding("there is no HEALTHCHECK")
        return
    command = " ".join(probe.test[1:]).strip()
    if _CANNOT_FAIL.search(command):
        yield Finding(f"the health check cannot fail: {command}")
    if probe.notices_within > terms.health.notices_within:
        yield Finding(
            f"a failure is noticed after {probe.notices_within:g} s at worst, "
            f"the bound is {terms.health.notices_within:g} s",
            measured=probe.notices_within,
            bound=terms.health.notices_within,
        )


@check(
    "config.labels",
    "image",
    title="The labels that the contract asks for are there",
    why="An image that is found on a node at night must say what it is and where it came from.",
    remedy="Add the LABEL to the Dockerfile's last stage.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
)
def labels(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each label that is missing or empty."""
    for name in terms.labels:
        if not facts.labels.get(name):
            yield Finding(f"the label {name} is missing or empty")


@check(
    "config.ports",
    "image",
    title="Exactly the contract's ports are exposed, and none is privileged",
    why="EXPOSE documents what listens; a port below 1024 asks for a capability or root.",
    remedy="Make EXPOSE and the contract's ports agree; listen above 1023.",
    reference="CIS Docker Benchmark 5.8; https://docs.docker.com/reference/dockerfile/#expose",
)
def ports(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a port too many, one missing, or a privileged one."""
    exposed = {int(port.partition("/")[0]) for port in facts.ports}
    for port in sorted(exposed - set(terms.ports)):
        yield Finding(f"port {port} is exposed, but not in the contract", measured=port)
    for port in sorted(set(terms.ports) - exposed):
        yield Finding(f"port {port} of the contract is not exposed", bound=port)
    for port in sorted(port for port in exposed if port < UNPRIVILEGED):
        yield Finding(f"port {port} is privileged", measured=port)


@check(
    "config.workdir",
    "image",
    title="The program starts in the contract's folder",
    why="Relative paths, and the code that Python finds first, depend on where a program starts.",
    remedy="WORKDIR with an absolute path, in the Dockerfile's last stage.",
    reference="CIS Docker Benchmark 4; https://docs.docker.com/reference/dockerfile/#workdir",
)
def workdir(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for another folder than the contract's, and for a relative one."""
    folder = facts.workdir or "/"
    if not folder.startswith("/"):
        yield Finding(f"the working directory {folder} is relative", measured=folder)
    elif terms.workdir is not None and not _same(folder, terms.workdir):
        yield Finding(
            f"it starts in {folder}, not in {terms.workdir}", measured=folder, bound=terms.workdir
        )


def _same(path: str, other: str) -> bool:
    return path.rstrip("/") == other.rstrip("/")


@check(
    "config.volumes",
    "image",
    title="Exactly the contract's volumes are declared",
    why="Each VOLUME makes an anonymous volume for each container that nobody named, writable "
    "whatever the root is, and left behind.",
    remedy="Remove VOLUME from the Dockerfile; name volumes in the compose file.",
    reference="https://docs.docker.com/reference/dockerfile/#volume",
)
def volumes(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a volume too many, or one missing."""
    declared = {path.rstrip("/") or "/" for path in facts.volumes}
    wanted = {path.rstrip("/") or "/" for path in terms.volumes}
    for path in sorted(declared - wanted):
        yield Finding(f"the volume {path} is not in the contract", measured=path)
    for path in sorted(wanted - declared):
        yield Finding(f"the volume {path} of the contract is not declared", bound=path)


@check(
    "config.env",
    "image",
    title="The image's environment is the contract's, and injects nothing",
    why="LD_PRELOAD and its like run code before the program; a PATH with a folder that the "
    "program may write runs what it left there.",
    remedy="Set the contract's `env` by ENV in the last stage; remove what is not named there.",
    reference="ld.so(8); https://docs.docker.com/reference/dockerfile/#env; CWE-426, CWE-427",
)
def env(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for other values than the contract's, injecting variables, and unsafe lists of folders;
    what the contract names in `env` is its own business."""
    for name, value in terms.env.items():
        if facts.environment.get(name) != value:
            # Never the value that is there: who knows what it is.
            how = "has another value" if name in facts.environment else "is not set"
            yield Finding(f"{name} {how}", bound=value)
    for name, value in facts.environment.items():
        if name in terms.env or not value:
            continue
        if name in INJECTING or (name in LOADING and LOADING[name].search(value)):
            yield Finding(f"{name} makes whatever starts run something else first")
        elif name in LISTS:
            yield from _folders(name, value, terms)


def _folders(name: str, value: str, terms: ServiceContract) -> Iterator[Finding]:
    """What is unsafe in a list of folders; an empty one is the current folder (environ(7))."""
    for folder in dict.fromkeys(value.split(":")):
        if not folder.startswith("/"):
            yield Finding(f"{name} names the relative folder {folder!r}", measured=folder)
        elif below(posixpath.normpath(folder).strip("/"), (*terms.writable, *SHARED)):
            yield Finding(f"{name} names {folder}, which the program may write", measured=folder)


@check(
    "config.stop-signal",
    "image",
    title="A stop sends the contract's signal",
    why="A program that is asked to stop by a signal that it does not know is killed in the end.",
    remedy="STOPSIGNAL in the Dockerfile, or stop_signal in the contract.",
    reference="https://docs.docker.com/reference/dockerfile/#stopsignal",
)
def stop_signal(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for another signal; names and numbers of one signal are equal."""
    sent = facts.stop_signal or "SIGTERM"
    if _signal(sent) != _signal(terms.stop_signal):
        yield Finding(
            f"a stop sends {sent}, not {terms.stop_signal}", measured=sent, bound=terms.stop_signal
        )


def _signal(name: str) -> int | str:
    text = name.upper()
    if text.isdecimal():
        return int(text)
    text = text if text.startswith("SIG") else f"SIG{text}"
    return SIGNALS.get(text, text)
