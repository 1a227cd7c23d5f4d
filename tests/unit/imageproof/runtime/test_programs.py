"""imageproof.runtime.programs: what programs of an image answer, however they behave."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import StackFailed
from imageproof.runtime.programs import ProgramRun, SmokeRun, run, run_programs
from tests.support.sample_facts import SECRET, service_contract

NOT_FOUND = 'exec: "nope": executable file not found in $PATH: unknown'


class Containers:
    """Containers that end with a status when they are waited for, or when they are killed."""

    def __init__(self, status: int = 0, said: str = "", ends: bool = True, start: Any = None):
        self.status, self.said, self.start_error = status, said, start
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
        return "\n".join(self.said.splitlines()[-tail:])

    def remove(self, name: str, *, force: bool, volumes: bool) -> None:
        assert force
        assert volumes
        self.removed.append(name)


def _engine(containers: Containers, **state: Any) -> Any:
    return SimpleNamespace(
        docker=SimpleNamespace(container=containers),
        inspect=lambda *_: [{"State": {"ExitCode": 128, "Error": "", **state}}],
    )


def test_a_program_is_run_with_nothing_and_removed():
    containers = Containers(0, "Python 3.11.2\nmore\n")
    status, said = run(_engine(containers), "shop", ("python", "-V"), ["/tmp"])
    assert (status, said) == (0, ["Python 3.11.2", "more"])
    ((image, command, options),) = containers.created
    assert (image, command, options["entrypoint"]) == ("shop", ["-V"], "python")
    assert options["networks"] == ["none"]
    assert options["cap_drop"] == ["ALL"]
    assert options["read_only"]
    assert options["tmpfs"] == ["/tmp"]
    assert "user" not in options  # the image's own
    assert containers.removed == [options["name"]]


def test_what_does_not_end_in_time_is_ended_and_has_no_status():
    containers = Containers(said="waiting", ends=False)
    assert run(_engine(containers), "shop", ("python",), within=0.05) == (None, ["waiting"])
    assert containers.removed


@pytest.mark.parametrize("status", [126, 127])
def test_a_program_that_cannot_be_started_is_its_own_fault(status):
    containers = Containers(start=StackFailed("running", "failed"))
    found = run(_engine(containers, ExitCode=status, Error=NOT_FOUND), "shop", ("nope",))
    assert found == (status, [NOT_FOUND])
    assert containers.removed


def test_an_engine_that_cannot_start_anything_is_no_fault_of_the_program():
    containers = Containers(start=StackFailed("running", "no room"))
    with pytest.raises(StackFailed, match="no room"):
        run(_engine(containers), "shop", ("python",))
    assert containers.removed


def test_no_secret_and_nothing_that_steers_a_terminal_is_kept():
    containers = Containers(1, f"API_TOKEN={SECRET}\n\x1b[31mred\n")
    assert run(_engine(containers), "shop", ("python",))[1] == ["API_TOKEN=***", "red"]


def test_of_a_flood_the_end_is_kept():
    containers = Containers(0, "\n".join(map(str, range(1000))))
    said = run(_engine(containers), "shop", ("python",))[1]
    assert (len(said), said[-1]) == (200, "999")


PROGRAM = {"python": {"answers": "^Python"}}
SMOKE = [{"command": ["shop", "check"], "within": 7}]


@pytest.mark.parametrize(
    ("status", "said", "answer"),
    [
        (0, "Python 3.11.2\nwarning", "Python 3.11.2"),
        (1, "Traceback\nImportError", "ImportError"),
        (0, "", "nothing"),
    ],
)
def test_a_program_answers_by_its_first_line_and_fails_by_its_last(status, said, answer):
    engine = _engine(Containers(status, said))
    facts = run_programs(engine, "shop", service_contract(programs=PROGRAM))
    assert facts.programs == {"python": ProgramRun(answer, status)}
    assert facts.smokes == ()


class Forgetful(Containers):
    """Of an engine that loses what the first containers said."""

    def __init__(self, losses: int) -> None:
        super().__init__(0, "Python 3.11.2")
        self.losses = losses

    def logs(self, name: str, tail: int) -> str:
        return super().logs(name, tail) if len(self.created) > self.losses else ""


@pytest.mark.parametrize(
    ("losses", "answer", "runs"),
    [(0, "Python 3.11.2", 1), (2, "Python 3.11.2", 3), (3, "nothing", 3)],
)
def test_silence_of_what_should_speak_is_asked_about_again(losses, answer, runs):
    containers = Forgetful(losses)
    facts = run_programs(_engine(containers), "shop", service_contract(programs=PROGRAM))
    assert facts.programs == {"python": ProgramRun(answer, 0)}
    assert len(containers.created) == len(containers.removed) == runs


@pytest.mark.parametrize(("status", "answers", "runs"), [(1, "ready", 1), (0, "", 1)])
def test_silence_that_says_enough_is_not_asked_about_again(status, answers, runs):
    containers = Containers(status)
    smoke = [{"command": ["shop", "check"], "answers": answers}]
    run_programs(_engine(containers), "shop", service_contract(programs={}, smoke=smoke))
    assert len(containers.created) == runs


def test_a_smoke_command_is_run_where_the_contract_lets_it_write():
    containers = Containers(0, "one\nready")
    image = service_contract(programs={}, smoke=SMOKE, writable=["/tmp", "/data"])
    facts = run_programs(_engine(containers), "shop", image)
    assert facts.smokes == (SmokeRun(("shop", "check"), 0, ("one", "ready")),)
    assert containers.created[0][2]["tmpfs"] == ["/tmp", "/data"]
    assert containers.created[0][1] == ["check"]


def test_what_could_not_be_tried_says_why():
    engine = _engine(Containers(start=StackFailed("running", "no room")))
    facts = run_programs(engine, "shop", service_contract(programs=PROGRAM, smoke=SMOKE))
    assert facts.programs["python"].status is None
    assert "no room" in facts.programs["python"].unknown
    assert "no room" in facts.smokes[0].unknown
