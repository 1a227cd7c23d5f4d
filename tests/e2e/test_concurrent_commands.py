"""Commands on one project that begin together end in one of the two orders, or are refused.

Each pair begins while the test holds the project's lock, and both wait for it: so both are there
when it is released, however slow the machine is.
"""

from __future__ import annotations

import itertools
import subprocess
from contextlib import ExitStack

import pytest

from imageproof.docker.client import Engine
from imageproof.docker.project_lock import project_lock
from tests.support.commands import Outcome, Project, docker, read_until, start_command

# A second service, so that half a stack would be noticed.
SIDE = """
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


def _together(project: Project, engine: Engine, commands: tuple[str, ...]) -> list[Outcome]:
    """Run commands that all wait for the lock that this test releases."""
    with ExitStack() as stack:
        with project_lock(engine, "test"):
            processes = [stack.enter_context(start_command(project, name)) for name in commands]
            before = [read_until(process, 'waiting for "./inv test"') for process in processes]
        outcomes = []
        for process, messages in zip(processes, before, strict=True):
            output, rest = process.communicate(timeout=SECONDS)
            outcomes.append(Outcome(process.returncode, output, messages + rest))
        return outcomes


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_pair_of_commands_ends_in_one_of_the_two_orders(pair, pair_project, engine_of):
    for command, outcome in zip(pair, _together(pair_project, engine_of, pair), strict=True):
        everything = outcome.output + outcome.messages
        if command == "verify" and outcome.status == 2:  # after `clean`
            assert "clean" in pair
            assert "has no image" in everything
        else:
            assert outcome.status == 0, everything
    running, image = _running(pair_project), _image(pair_project)
    assert running in ([], ["side", "web"])
    assert image or not running
    if "up" in pair and not {"down", "clean"} & set(pair):
        assert running
    if {"down", "clean"} & set(pair) and "up" not in pair:
        assert not running
    if "clean" in pair and not {"up", "build"} & set(pair):
        assert not image


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
