"""Runs of an image's programs and smoke commands, as the image's user and without network."""

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

PROGRAM_SECONDS = 60.0  # time limit of a program; a smoke command has one in the contract
WORKERS = 4  # each waits for the engine; the programs share the processors
MAX_OUTPUT_LINES = 200
MAX_LINE_CHARACTERS = 1000  # the contract's patterns are searched in the lines
CANNOT_START = {126, 127}  # exit statuses: not executable, not found (chroot(1))
MAX_RUNS = 3
# A program can neither flood the host's disk with its log nor use up the host's memory.
OPTIONS: dict[str, Any] = {
    **CONFINED,
    "remove": False,
    "healthcheck": False,
    "log_driver": "json-file",
    "log_options": ["max-size=1m", "max-file=1"],
    "memory": "1g",
    "pids_limit": 512,
}

CommandResult = tuple[int | None, list[str]]  # exit status (None: timed out), lines of output


@dataclass(frozen=True)
class ProgramRun:
    """The run of a program of the contract."""

    answer: str  # the first line of output if it succeeded, else the last
    status: int | None  # None: it did not end in time, or `unknown`
    unknown: str = ""  # why it could not be run


@dataclass(frozen=True)
class SmokeRun:
    """The run of a smoke command of the contract."""

    command: tuple[str, ...]
    status: int | None  # None: it did not end in time, or `unknown`
    output: tuple[str, ...]  # its last lines
    unknown: str = ""  # why it could not be run


@dataclass(frozen=True)
class ProgramFacts:
    """The runs of an image's programs, by name, and of its smoke commands."""

    programs: Mapping[str, ProgramRun] = field(default_factory=dict)
    smokes: tuple[SmokeRun, ...] = ()


def run_programs(engine: Engine, reference: str, service: ServiceContract) -> ProgramFacts:
    """Run the contract's programs and smoke commands in an image, several at once.

    Only the writable paths of the contract can be written; each is an empty folder.
    """

    def run_program(item: tuple[str, Program]) -> tuple[str, ProgramRun]:
        name, program = item
        command = (name, *program.arguments)
        try:
            status, output = run_until_output(
                lambda: run_command(engine, reference, command, service.writable)
            )
        except ImageproofError as error:
            return name, ProgramRun("", None, str(error))
        lines = output or ["nothing"]
        return name, ProgramRun(lines[0] if status == 0 else lines[-1], status)

    def run_smoke(smoke: Smoke) -> SmokeRun:
        try:
            status, output = run_until_output(
                lambda: run_command(
                    engine, reference, smoke.command, service.writable, smoke.within
                ),
                MAX_RUNS if smoke.answers else 1,
            )
        except ImageproofError as error:
            return SmokeRun(smoke.command, None, (), str(error))
        return SmokeRun(smoke.command, status, tuple(output))

    with ThreadPoolExecutor(WORKERS) as pool:
        smokes = pool.map(run_smoke, service.smoke)  # first, because they are slower
        programs = pool.map(run_program, service.programs.items())
        return ProgramFacts(dict(programs), tuple(smokes))


def run_until_output(run: Callable[[], CommandResult], max_runs: int = MAX_RUNS) -> CommandResult:
    """Run a command; if it succeeds without output, run it again, `max_runs` times in all.

    An engine under load can lose the last output of a program: 26.1.5 returned an empty log of a
    `python --version` that exited with 0.
    """
    status, output = run()
    for _ in range(max_runs - 1):
        if status != 0 or output:
            break
        status, output = run()
    return status, output


def run_command(
    engine: Engine,
    reference: str,
    command: Sequence[str],
    writable: Sequence[str] = (),
    within: float = PROGRAM_SECONDS,
) -> CommandResult:
    """Run a command in an image as the image's user; kill it after `within` seconds.

    Raises:
        ImageproofError: The engine cannot run a container.
    """
    name = f"imageproof-run-{secrets.token_hex(4)}"
    action = f"running {command[0]} in {reference}"
    timed_out = threading.Event()

    def kill() -> None:
        timed_out.set()
        with contextlib.suppress(ImageproofError), translating(action):
            engine.whales.container.kill(name)

    timer = threading.Timer(within, kill)
    try:
        with translating(action):
            engine.whales.container.create(
                reference,
                list(command[1:]),
                entrypoint=command[0],
                name=name,
                tmpfs=list(writable),
                **OPTIONS,
            )
        if failure := _start(engine, name, action):
            return failure
        timer.start()
        with translating(action):
            status = engine.whales.container.wait(name)
            output = engine.whales.container.logs(name, tail=MAX_OUTPUT_LINES)
    finally:
        timer.cancel()
        with contextlib.suppress(ImageproofError), translating(action):
            engine.whales.container.remove(name, force=True, volumes=True)
    return None if timed_out.is_set() else status, [
        redact(line[:MAX_LINE_CHARACTERS]) for line in clean_lines(str(output))
    ]


def _start(engine: Engine, name: str, action: str) -> CommandResult | None:
    """Start a container; if its program cannot be started, return exit status and error."""
    try:
        with translating(action):
            engine.whales.container.start(name)
    except ImageproofError:
        state = engine.inspect("container", [name])[0]["State"]
        if state["ExitCode"] not in CANNOT_START:
            raise
        return state["ExitCode"], clean_lines(state["Error"])
    return None
