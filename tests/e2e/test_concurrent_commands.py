"""Commands on one project that begin together end in one of the two orders, or are refused.

Each pair begins while the test holds the project's lock, and both wait for it: so both are there
when it is released, however slow the machine is.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
from contextlib import ExitStack

import pytest

from imageproof.docker.client import Engine
from imageproof.docker.project_lock import project_lock
from tests.support.commands import Outcome, Project, docker, read_until, start_command

# For `watch`, and a second service, so that half a stack would be noticed.
SIDE = """
    develop: { watch: [{ action: rebuild, path: index.html }] }
  side:
    image: NAME/web:local
    init: true
    command: [python3.11, -c, "import time; time.sleep(600)"]
    healthcheck: { disable: true }
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 16
    logging: { driver: local }
"""
COMMANDS = ("verify", "build", "up", "down", "clean")
# Each pair begins in the state that the one before left, so that both states occur.
PAIRS = list(itertools.combinations_with_replacement(COMMANDS, 2))
SECONDS = 240  # for a pair; a loaded machine needs minutes


@pytest.fixture(scope="module")
def pair_project(shared_project: Project) -> Project:
    compose = shared_project.root / "compose.yaml"
    compose.write_text(compose.read_text() + SIDE.replace("NAME", shared_project.name))
    # A repository: `up` caches the results of lint and verify.
    subprocess.run(["git", "init", "--quiet", str(shared_project.root)], check=True)
    return shared_project


@pytest.fixture
def engine_of(pair_project: Project) -> Engine:
    return Engine((pair_project.root / "compose.yaml",))


@pytest.fixture(autouse=True)
def _starts_built(pair_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the image if the test before has removed it, and share the commands' lock files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pair_project.caches))
    if not _image(pair_project):
        assert pair_project.inv("build").status == 0


def _image(project: Project) -> bool:
    return bool(docker("image", "ls", "--quiet", f"{project.name}/web:local"))


def _running(project: Project) -> list[str]:
    """Return the services that run, and assert that nothing else is there."""
    template = '{{.Label "com.docker.compose.service"}} {{.State}}'
    label = f"label=com.docker.compose.project={project.name}"
    lines = docker("ps", "--all", "--filter", label, "--format", template).splitlines()
    assert all(line.endswith(" running") for line in lines), lines
    return sorted(line.split()[0] for line in lines)


def _together(
    project: Project, engine: Engine, commands: tuple[str, ...], *, interrupted: str = ""
) -> list[Outcome]:
    """Run commands that all wait for the lock that this test releases.

    `interrupted`: a command that does not end by itself: SIGINT ends it when it has begun.
    """
    with ExitStack() as stack:
        with project_lock(engine, "test"):
            processes = [stack.enter_context(start_command(project, name)) for name in commands]
            messages = [read_until(process, 'waiting for "./inv test"') for process in processes]
        outcomes = []
        # A command without an end last: what the other one does to it is part of the test.
        pairs = list(zip(commands, processes, messages, strict=True))
        for command, process, before in sorted(pairs, key=lambda pair: pair[0] == interrupted):
            begin = ""
            if command == interrupted:
                begin = _read_until_watching(process)
                process.send_signal(signal.SIGINT)
            output, rest = process.communicate(timeout=SECONDS)
            outcomes.append(Outcome(process.returncode, output, before + begin + rest))
        return outcomes


def _read_until_watching(process: subprocess.Popen[str]) -> str:
    """Return the messages of `watch` until it watches, or until it ends."""
    assert process.stderr is not None
    messages = ""
    for line in process.stderr:
        messages += line
        if "watching;" in line:
            break
    return messages


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_pair_of_commands_ends_in_one_of_the_two_orders(pair, pair_project, engine_of):
    outcomes = _together(pair_project, engine_of, pair)
    for command, outcome in zip(pair, outcomes, strict=True):
        _assert_success(command, outcome, pair)
    running, image = _running(pair_project), _image(pair_project)
    assert running in ([], ["side", "web"])
    assert image or not running
    removers = {"down", "clean"} & set(pair)
    if "up" in pair and not removers:
        assert running
    if removers and "up" not in pair:
        assert not running
    if "clean" in pair and not {"up", "build"} & set(pair):
        assert not image


@pytest.mark.parametrize("command", [*COMMANDS, "watch"])
def test_watch_beside_another_command_watches_or_says_why_not(command, pair_project, engine_of):
    pair = (command, "watch")
    other, watch = _together(pair_project, engine_of, pair, interrupted="watch")
    if command == "watch":
        assert other.status == 130, other.messages
    else:
        _assert_success(command, other, pair)
    running = _running(pair_project)
    if command in {"down", "clean"} and watch.status == 1:
        assert "another command removed" in watch.messages, watch.messages
        assert running == []
    else:
        assert watch.status == 130, watch.messages
        removed_after_watch = command in {"down", "clean"} and running == []
        assert removed_after_watch or running == ["side", "web"]


def _assert_success(command: str, outcome: Outcome, pair: tuple[str, ...]) -> None:
    everything = outcome.output + outcome.messages
    if command == "verify" and outcome.status == 2:  # after `clean`
        assert "clean" in pair
        assert "has no image" in everything
    else:
        assert outcome.status == 0, everything


def test_command_that_should_not_wait_is_refused(pair_project, engine_of):
    running = _running(pair_project)
    with project_lock(engine_of, "test"), ExitStack() as stack:
        processes = [
            stack.enter_context(start_command(pair_project, name, "--no-wait")) for name in COMMANDS
        ]
        for process in processes:
            _, messages = process.communicate(timeout=SECONDS)
            assert process.returncode == 3, messages
            assert '"./inv test" (pid ' in messages
            assert "→ without `--no-wait`" in messages
    assert _running(pair_project) == running


def test_chained_commands_take_the_lock_one_after_the_other(pair_project):
    outcome = pair_project.inv("up", "down", "clean")
    assert outcome.status == 0, outcome.messages
    assert "waiting for" not in outcome.messages
    assert not _running(pair_project)
