"""Tests of the runs of programs: status and output of programs that end, hang or do not start."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import StackFailed
from imageproof.runtime.programs import ProgramRun, SmokeRun, run_command, run_programs
from tests.support.sample_facts import SECRET, service_contract

NOT_FOUND = 'exec: "nope": executable file not found in $PATH: unknown'


class Containers:
    """A fake of the engine's containers: each ends with `status`, or only when it is killed."""

    def __init__(self, status: int = 0, output: str = "", ends: bool = True, start: Any = None):
        self.status, self.output, self.start_error = status, output, start
        self.ended = threading.Event()
        self.ends = ends
        self.created: list[tuple[str, list[str], dict[str, Any]]] = []
        self.removed: list[str] = []

    def create(self, image: str, command: list[str], **options: Any) -> None:
        self.created.append((image, command, options))

    def start(self, name: str) -> None:
        if self.start_error:
            raise self.start_error

    def wait(self, name: str) -> int:
        if not self.ends:
            assert self.ended.wait(10)
            return 137
        return self.status

    def kill(self, name: str) -> None:
        self.ended.set()

    def logs(self, name: str, tail: int) -> str:
        return "\n".join(self.output.splitlines()[-tail:])

    def remove(self, name: str, *, force: bool, volumes: bool) -> None:
        assert force
        assert volumes
        self.removed.append(name)


def _engine(containers: Containers, **state: Any) -> Any:
    return SimpleNamespace(
        whales=SimpleNamespace(container=containers),
        inspect=lambda *_: [{"State": {"ExitCode": 128, "Error": "", **state}}],
    )


def test_program_runs_confined_and_is_removed():
    containers = Containers(0, "Python 3.11.2\nmore\n")
    status, output = run_command(_engine(containers), "shop", ("python", "-V"), ["/tmp"])
    assert (status, output) == (0, ["Python 3.11.2", "more"])
    ((image, command, options),) = containers.created
    assert (image, command, options["entrypoint"]) == ("shop", ["-V"], "python")
    assert options["networks"] == ["none"]
    assert options["cap_drop"] == ["ALL"]
    assert options["read_only"]
    assert options["tmpfs"] == ["/tmp"]
    assert "user" not in options  # the image's user
    assert containers.removed == [options["name"]]


def test_program_that_is_too_late_is_killed():
    containers = Containers(output="waiting", ends=False)
    assert run_command(_engine(containers), "shop", ("python",), within=0.05) == (None, ["waiting"])
    assert containers.removed


@pytest.mark.parametrize("status", [126, 127])
def test_program_that_cannot_start_has_a_status(status):
    containers = Containers(start=StackFailed("running", "failed"))
    result = run_command(_engine(containers, ExitCode=status, Error=NOT_FOUND), "shop", ("nope",))
    assert result == (status, [NOT_FOUND])
    assert containers.removed


def test_engine_that_cannot_start_a_container_raises():
    containers = Containers(start=StackFailed("running", "no room"))
    with pytest.raises(StackFailed, match="no room"):
        run_command(_engine(containers), "shop", ("python",))
    assert containers.removed


def test_output_has_no_secrets_and_no_escapes():
    containers = Containers(1, f"API_TOKEN={SECRET}\n\x1b[31mred\n")
    assert run_command(_engine(containers), "shop", ("python",))[1] == ["API_TOKEN=***", "red"]


def test_last_lines_of_a_long_output_are_returned():
    containers = Containers(0, "\n".join(map(str, range(1000))))
    output = run_command(_engine(containers), "shop", ("python",))[1]
    assert (len(output), output[-1]) == (200, "999")


PROGRAM = {"python": {"answers": "^Python"}}
SMOKE = [{"command": ["shop", "check"], "within": 7}]


@pytest.mark.parametrize(
    ("status", "output", "answer"),
    [
        (0, "Python 3.11.2\nwarning", "Python 3.11.2"),
        (1, "Traceback\nImportError", "ImportError"),
        (0, "", "nothing"),
    ],
)
def test_answer_is_the_first_line_or_the_last_of_a_failure(status, output, answer):
    engine = _engine(Containers(status, output))
    facts = run_programs(engine, "shop", service_contract(programs=PROGRAM))
    assert facts.programs == {"python": ProgramRun(answer, status)}
    assert facts.smokes == ()


class LosingContainers(Containers):
    """An engine that loses the output of the first containers."""

    def __init__(self, losses: int) -> None:
        super().__init__(0, "Python 3.11.2")
        self.losses = losses

    def logs(self, name: str, tail: int) -> str:
        return super().logs(name, tail) if len(self.created) > self.losses else ""


@pytest.mark.parametrize(
    ("losses", "answer", "runs"),
    [(0, "Python 3.11.2", 1), (2, "Python 3.11.2", 3), (3, "nothing", 3)],
)
def test_program_without_output_is_run_again(losses, answer, runs):
    containers = LosingContainers(losses)
    facts = run_programs(_engine(containers), "shop", service_contract(programs=PROGRAM))
    assert facts.programs == {"python": ProgramRun(answer, 0)}
    assert len(containers.created) == len(containers.removed) == runs


@pytest.mark.parametrize(("status", "answers", "runs"), [(1, "ready", 1), (0, "", 1)])
def test_expected_silence_is_not_run_again(status, answers, runs):
    containers = Containers(status)
    smoke = [{"command": ["shop", "check"], "answers": answers}]
    run_programs(_engine(containers), "shop", service_contract(programs={}, smoke=smoke))
    assert len(containers.created) == runs


def test_smoke_command_gets_the_writable_paths():
    containers = Containers(0, "one\nready")
    image = service_contract(programs={}, smoke=SMOKE, writable=["/tmp", "/data"])
    facts = run_programs(_engine(containers), "shop", image)
    assert facts.smokes == (SmokeRun(("shop", "check"), 0, ("one", "ready")),)
    assert containers.created[0][2]["tmpfs"] == ["/tmp", "/data"]
    assert containers.created[0][1] == ["check"]


def test_failed_runs_have_a_reason():
    engine = _engine(Containers(start=StackFailed("running", "no room")))
    facts = run_programs(engine, "shop", service_contract(programs=PROGRAM, smoke=SMOKE))
    assert facts.programs["python"].status is None
    assert "no room" in facts.programs["python"].unknown
    assert "no room" in facts.smokes[0].unknown
