"""What the programs of an image answer when they are run: as its user, without network."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imageproof.docker.confined import CONFINED
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from imageproof.contract import Program, ServiceContract, Smoke
    from imageproof.docker.client import Engine

PROGRAM_SECONDS = 60.0
WORKERS = 4  # each waits for the engine; what runs in the containers shares the processors
SAID_LINES = 200
CANNOT_RUN = {126, 127}
# However much it says, and takes: neither the disk nor the machine is the worse for it.
OPTIONS: dict[str, Any] = {
    **CONFINED,
    "remove": False,
    "healthcheck": False,
    "log_driver": "json-file",
    "log_options": ["max-size=1m", "max-file=1"],
    "memory": "1g",
    "pids_limit": 512,
}


TRIES = 3
Ran = tuple[int | None, list[str]]  # exit status, and what it said


@dataclass(frozen=True)
class ProgramRun:
    """What a program of an image answered: a line, and its exit status.

    The first line where it ended well, else the last. No status: it did not end in time, or
    could not be tried, and `unknown` says why.
    """

    answer: str
    status: int | None
    unknown: str = ""


@dataclass(frozen=True)
class SmokeRun:
    """How a smoke command of the contract ended: its last lines, and its exit status."""

    command: tuple[str, ...]
    status: int | None  # None: it did not end in time
    output: tuple[str, ...]
    unknown: str = ""


@dataclass(frozen=True)
class ProgramFacts:
    """By name of the program, and one for each smoke command of the contract."""

    programs: Mapping[str, ProgramRun] = field(default_factory=dict)
    smokes: tuple[SmokeRun, ...] = ()


def run_programs(engine: Engine, reference: str, image: ServiceContract) -> ProgramFacts:
    """Run each program and each smoke command that the contract names, several at once.

    What the contract says to be writable is an empty folder then: nothing else takes a write.
    """

    def program(named: tuple[str, Program]) -> tuple[str, ProgramRun]:
        name, terms = named
        command = (name, *terms.arguments)
        try:
            status, said = heard(
                lambda: run(engine, reference, command, image.writable, PROGRAM_SECONDS)
            )
        except ImageproofError as error:
            return name, ProgramRun("", None, str(error))
        lines = said or ["nothing"]
        return name, ProgramRun(lines[0] if status == 0 else lines[-1], status)

    def smoke(terms: Smoke) -> SmokeRun:
        try:
            status, said = heard(
                lambda: run(engine, reference, terms.command, image.writable, terms.within),
                TRIES if terms.answers else 1,
            )
        except ImageproofError as error:
            return SmokeRun(terms.command, None, (), str(error))
        return SmokeRun(terms.command, status, tuple(said))

    with ThreadPoolExecutor(WORKERS) as pool:
        smokes = pool.map(smoke, image.smoke)  # the slower ones first
        programs = pool.map(program, image.programs.items())
        return ProgramFacts(dict(programs), tuple(smokes))


def heard(try_: Callable[[], Ran], tries: int = TRIES) -> Ran:
    """What a command said that is expected to say something.

    An engine under load may lose all that a program wrote in its last moments (seen on 26.1.5: a
    `python --version` that ended with 0 and an empty log). So silence is asked about again.
    """
    status, said = try_()
    while status == 0 and not said and (tries := tries - 1):
        status, said = try_()
    return status, said


def run(
    engine: Engine,
    reference: str,
    command: Sequence[str],
    writable: Sequence[str] = (),
    within: float = PROGRAM_SECONDS,
) -> Ran:
    """Run a command in an image, as its user: the exit status, and the end of what it said.

    None is the status of what did not end `within` seconds. Raises ImageproofError where no container
    can be had.
    """
    name = f"imageproof-run-{secrets.token_hex(4)}"
    action = f"running {command[0]} in {reference}"
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(ImageproofError), translating(action):
            engine.docker.container.kill(name)

    timer = threading.Timer(within, end)
    try:
        with translating(action):
            engine.docker.container.create(
                reference,
                list(command[1:]),
                entrypoint=command[0],
                name=name,
                tmpfs=list(writable),
                **OPTIONS,
            )
        if refused := _start(engine, name, action):
            return refused
        timer.start()
        with translating(action):
            status = engine.docker.container.wait(name)
            said = engine.docker.container.logs(name, tail=SAID_LINES)
    finally:
        timer.cancel()
        with contextlib.suppress(ImageproofError), translating(action):
            engine.docker.container.remove(name, force=True, volumes=True)
    return None if late.is_set() else status, [redact(line) for line in clean_lines(str(said))]


def _start(engine: Engine, name: str, action: str) -> tuple[int, list[str]] | None:
    """Start a container; its status and why where its program cannot be: 126, 127 (chroot(1))."""
    try:
        with translating(action):
            engine.docker.container.start(name)
    except ImageproofError:
        state = engine.inspect("container", [name])[0]["State"]
        if state["ExitCode"] not in CANNOT_RUN:
            raise
        return state["ExitCode"], clean_lines(state["Error"])
    return None
