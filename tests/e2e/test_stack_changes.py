"""What `up`, `down` and `clean` change in the engine: dry run, leftovers, clones, overlays."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.commands import Project, docker, read_until, start_command, wait_until

# A second service of the same image, with an anonymous and a named volume.
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
    volumes: ["/anonymous", "named:/named"]
  extra:
    extends: side
    profiles: [extra]
volumes: { named: }
"""


@pytest.fixture
def two(project: Project) -> Iterator[Project]:
    """Return a project with two services; remove its volumes at the end."""
    compose = project.root / "compose.yaml"
    compose.write_text(compose.read_text() + SIDE.replace("NAME", project.name))
    yield project
    objects = _objects(project)
    for container in objects["container"]:
        docker("container", "rm", "--force", container)
    for volume in objects["volume"] | objects["anonymous volume"]:
        docker("volume", "rm", "--force", volume)


def _names(project: Project, kind: str) -> set[str]:
    """Return the names of the project's containers, networks or named volumes."""
    template = "{{.Names}}" if kind == "container" else "{{.Name}}"
    label = f"label=com.docker.compose.project={project.name}"
    options = ["--all"] if kind == "container" else []
    return set(docker(kind, "ls", *options, "--filter", label, "--format", template).split())


def _objects(project: Project) -> dict[str, set[str]]:
    objects = {kind: _names(project, kind) for kind in ("container", "network", "volume")}
    mounts = [
        mount
        for container in objects["container"]
        for mount in json.loads(docker("inspect", "--format", "{{json .Mounts}}", container))
    ]
    anonymous = {m["Name"] for m in mounts if m["Type"] == "volume"} - objects["volume"]
    return {**objects, "anonymous volume": anonymous, "image": _tags(project)}


def _tags(project: Project) -> set[str]:
    template = "{{.Repository}}:{{.Tag}}"
    return set(docker("image", "ls", "--format", template, f"{project.name}/web").split())


def _snapshot(project: Project) -> object:
    """Return everything that a dry run could change: objects, runs of containers, files."""
    runs = [
        docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name)
        for name in sorted(_names(project, "container"))
    ]
    files = {
        str(path): path.read_bytes() if path.is_file() else None for path in project.root.rglob("*")
    }
    images = docker("image", "ls", "--quiet", "--no-trunc", f"{project.name}/web")
    return _objects(project), runs, files, images


def _planned(output: str, verb: str) -> dict[str, set[str]]:
    """Return the objects by kind that a dry run would create, replace or remove."""
    kinds = ("container", "network", "anonymous volume", "volume", "image")
    planned: dict[str, set[str]] = {kind: set() for kind in kinds}
    for kind, name in re.findall(
        rf"^would {verb} ({'|'.join(kinds)}) (\S+)$", output, re.MULTILINE
    ):
        planned[kind].add(name)
    return planned


def _removed(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    return {kind: names - after[kind] for kind, names in before.items()}


def _dry_run(project: Project, *command: str) -> str:
    """Return the plan of a command, and assert that it changed nothing."""
    before = _snapshot(project)
    outcome = project.inv(*command, "--dry-run")
    assert outcome.status == 0, outcome.messages
    assert _snapshot(project) == before
    return outcome.output


def test_dry_run_changes_nothing_and_prints_what_the_command_then_does(two: Project):
    plan = _dry_run(two, "up")
    assert f"would build image {two.name}/web:local\n" in plan
    outcome = two.inv("up")
    assert outcome.status == 0, outcome.messages
    created = _objects(two)
    assert _planned(plan, "create") == {**created, "image": set(), "anonymous volume": set()}
    assert "2 services are running, 1 of them healthy, 1 without a health check" in outcome.messages

    plan = _dry_run(two, "up")
    assert _planned(plan, "keep")["container"] == created["container"]
    ids = _ids(two)
    two.edit("compose.yaml", "time.sleep(600)", "time.sleep(601)")
    plan = _dry_run(two, "up")
    assert two.inv("up", COMPOSE_PROFILES="extra").status == 0
    assert f"{two.name}-extra-1" in _names(two, "container")
    replaced = {name for name, id_ in ids.items() if _ids(two)[name] != id_}
    assert _planned(plan, "replace")["container"] == replaced == {f"{two.name}-side-1"}

    for command in ("down", "clean"):  # without the profile
        before = _objects(two)
        plan = _dry_run(two, command)
        assert two.inv(command).status == 0
        assert _planned(plan, "remove") == _removed(before, _objects(two))
    assert not any(_objects(two).values())


def _ids(project: Project) -> dict[str, str]:
    names = sorted(_names(project, "container"))
    return {name: docker("inspect", "--format", "{{.Id}}", name) for name in names}


def _container_ids(project: Project) -> set[str]:
    label = f"label=com.docker.compose.project={project.name}"
    return set(docker("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split())


def test_no_anonymous_volume_and_no_untagged_image_is_left(two: Project):
    assert two.inv("up").status == 0
    anonymous = _objects(two)["anonymous volume"]
    first = _image(two)
    two.edit("index.html", "first", "second")
    assert two.inv("build").status == 0
    second = _image(two)
    assert _exists(first), "the running stack still uses it"
    two.edit("index.html", "second", "third")
    assert two.inv("build").status == 0
    assert not _exists(second)
    assert two.inv("up").status == 0
    assert not _exists(first)
    assert len(anonymous) == 1
    assert two.inv("down", "clean").status == 0
    volumes = set(docker("volume", "ls", "--quiet").split())
    assert not anonymous & volumes
    assert not any(_objects(two).values())


def _image(project: Project) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", f"{project.name}/web:local")


def _exists(image: str) -> bool:
    return image in docker("image", "ls", "--all", "--quiet", "--no-trunc").split()


def test_stack_of_another_clone_is_changed_only_by_request(project: Project, tmp_path: Path):
    assert project.inv("up").status == 0
    ids = _ids(project)
    root = tmp_path / "clone"
    shutil.copytree(project.root, root, ignore=shutil.ignore_patterns("clone", ".imageproof"))
    clone = replace(project, root=root)
    for command in ("up", "down", "clean"):
        for options in ([], ["--dry-run"]):
            refused = clone.inv(command, *options)
            assert refused.status == 2, refused.messages
            assert f"it was started from {project.root}" in refused.messages
            assert "COMPOSE_PROJECT_NAME" in refused.messages
            assert f"./inv {' '.join([command, *options])} --take-over`" in refused.messages
    assert _ids(project) == ids
    warning = f"the running stack was started from {project.root}"
    assert warning in clone.inv("verify", "--only", "run.healthy").messages
    second = replace(clone, name=f"{project.name}-second")
    beside = clone.inv("up", COMPOSE_PROJECT_NAME=second.name)
    try:
        assert beside.status == 0, beside.messages
        assert _ids(project) == ids
        # The two stacks share the image.
        kept = clone.inv("clean", COMPOSE_PROJECT_NAME=second.name)
        assert kept.status == 0, kept.messages
        assert f"keeping {project.name}/web:local: {project.name}-web-1 uses it" in kept.messages
        assert _tags(project)
    finally:
        clone.inv("down", COMPOSE_PROJECT_NAME=second.name)
    taken = clone.inv("down", "--take-over")
    assert taken.status == 0, taken.messages
    assert not project.leftovers()


def test_override_is_started_named_and_no_fault(project: Project):
    (project.root / "compose.override.yaml").write_text(
        "services: { web: { environment: { SSL_CERT_FILE: /ca.pem }, "
        'volumes: ["./ca.pem:/ca.pem:ro"] } }\n'
    )
    (project.root / "ca.pem").write_text("a certificate\n")
    adds = "compose.override.yaml adds: web.environment.SSL_CERT_FILE, web.volumes"
    for command in ("up", "verify", "up"):
        outcome = project.inv(command)
        assert outcome.status == 0, outcome.output + outcome.messages
        assert adds in outcome.messages
        assert "compose files: compose.yaml, compose.override.yaml" in outcome.messages
        environment = docker("inspect", "--format", "{{.Config.Env}}", f"{project.name}-web-1")
        assert "SSL_CERT_FILE=/ca.pem" in environment


def _end_main_process(project: Project) -> None:
    """End the program of the service, so that the engine restarts its container."""
    # All processes but the first, which then ends. The command itself ends with the container.
    kill = ("python3.11", "-c", "import os; os.kill(-1, 9)")
    subprocess.run(["docker", "exec", f"{project.name}-web-1", *kill], capture_output=True)


def _restarts(container: str) -> int:
    return int(docker("inspect", "--format", "{{.RestartCount}}", container))


def test_restart_is_forgiven_after_a_while_and_a_loop_is_not(project: Project):
    project.edit("compose.yaml", "    init: true", "    init: true\n    restart: unless-stopped")
    project.edit("pyproject.toml", "ready_within = 20", "ready_within = 5")
    assert project.inv("up").status == 0
    _end_main_process(project)
    wait_until(lambda: _restarts(f"{project.name}-web-1") == 1, 30, "it was not restarted")
    again = project.inv("up")
    assert again.status == 0, again.messages
    with start_command(project, "up") as process:
        read_until(process, "» verify the images")
        while process.poll() is None:
            _end_main_process(project)
        _, messages = process.communicate()
    assert process.returncode == 1, messages
    assert re.search(r"restarted \d+ times?|it is (restarting|exited)", messages), messages


def test_interrupted_verification_says_what_runs(project: Project):
    assert project.inv("up").status == 0
    project.edit("index.html", "first", "second")
    with start_command(project, "up") as process:
        read_until(process, "» verify the running stack")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the stack runs and is not verified; the stack is not removed" in messages
    assert re.search(r"web +a new container, running, healthy", messages)


def test_failed_start_over_a_running_stack_says_what_runs(two: Project):
    assert two.inv("up").status == 0
    failing = "{ test: [CMD, /absent], interval: 1s, retries: 1, start_period: 0s }"
    two.edit("compose.yaml", "{ disable: true }", failing)
    outcome = two.inv("up")
    assert outcome.status == 1, outcome.messages
    assert "its health check fails" in outcome.messages
    assert re.search(r"side +a new container, running, unhealthy", outcome.messages)
    assert re.search(r"web +as before, running, healthy", outcome.messages)


def test_interrupted_start_over_a_running_stack_ends_the_replacement(two: Project):
    assert two.inv("up").status == 0
    ids = _ids(two)
    two.edit("index.html", "first", "second")
    with start_command(two, "up") as process:
        read_until(process, "» up")
        wait_until(lambda: _container_ids(two) != set(ids.values()), 60, "nothing was replaced")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the start did not end well; the stack is not removed" in messages
    assert not set(_ids(two).values()) & set(ids.values())
    for service in ("side", "web"):
        assert re.search(rf"{service} +a new container, running", messages), messages


MARK = "/anonymous/mark"


def _write_mark(project: Project, text: str) -> None:
    # As root: the image has no such folder, so its volume belongs to root.
    command = ("sh", "-c", f"echo {text} > {MARK}")
    docker("exec", "--user", "0", f"{project.name}-side-1", *command)


def _read_mark(project: Project) -> str:
    return docker("exec", f"{project.name}-side-1", "cat", MARK)


@pytest.fixture
def marked(two: Project) -> Project:
    """Return the project with its stack running, and data in its anonymous volume."""
    assert two.inv("up").status == 0
    _write_mark(two, "precious")
    return two


def _add_failing_service(project: Project) -> None:
    failing = (
        SIDE.partition("  extra:")[0].replace("NAME", project.name).replace("side:", "broken:")
    )
    failing = failing.replace("time.sleep(600)", "raise SystemExit(3)")
    failing = failing.replace("named:/named", "fresh:/fresh")
    project.edit("compose.yaml", "  extra:\n", f"{failing.lstrip(chr(10))}  extra:\n")
    project.edit("compose.yaml", "volumes: { named: }", "volumes: { named: , fresh: }")


def _stop(project: Project) -> None:
    docker("stop", "--time", "1", *sorted(_names(project, "container")))


def test_failed_start_of_a_stopped_stack_removes_only_what_it_created(marked: Project):
    _stop(marked)
    before, ids, volumes = _objects(marked), _ids(marked), _volumes()
    _add_failing_service(marked)
    outcome = marked.inv("up")
    assert outcome.status == 1, outcome.messages
    assert "waiting for broken to become healthy" in outcome.messages
    assert re.search(r"side +as before, running", outcome.messages), outcome.messages
    assert (_objects(marked), _ids(marked)) == (before, ids)
    assert {name for name in _volumes() - volumes if _uses(name, marked)} == set()
    assert _read_mark(marked) == "precious"


def test_replacement_in_a_failed_start_of_a_stopped_stack_stays_with_its_data(marked: Project):
    _stop(marked)
    marked.edit("compose.yaml", "time.sleep(600)", "raise SystemExit(3)")
    outcome = marked.inv("up")
    assert outcome.status == 1, outcome.messages
    assert re.search(r"side +a new container, exited", outcome.messages), outcome.messages
    marked.edit("compose.yaml", "raise SystemExit(3)", "time.sleep(600)")
    assert marked.inv("up").status == 0
    assert _read_mark(marked) == "precious"


def test_interrupted_start_of_a_stopped_stack_keeps_it(marked: Project):
    _stop(marked)
    ids = _ids(marked)
    side = f"{marked.name}-side-1"
    with start_command(marked, "up") as process:
        read_until(process, "» up")
        wait_until(
            lambda: docker("inspect", "--format", "{{.State.Status}}", side) == "running",
            60,
            "it was not started",
        )
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert _ids(marked) == ids
    assert "as before" in messages
    docker("start", side)
    assert _read_mark(marked) == "precious"


def test_paused_stack_is_not_changed_and_the_hint_resumes_it(marked: Project):
    containers = sorted(_names(marked, "container"))
    for paused, hint in (
        (containers[:1], f"docker unpause {containers[0]}"),
        (containers, "docker compose unpause"),
    ):
        docker("pause", *paused)
        before = _snapshot(marked)
        for options in ([], ["--dry-run"]):
            outcome = marked.inv("up", *options)
            assert outcome.status == 1, outcome.messages
            assert f"it is paused: {', '.join(paused)}" in outcome.messages
            assert f"`{hint}` resumes it" in outcome.messages
            assert "» " not in outcome.messages, "nothing is built"
        assert _snapshot(marked) == before
        words = hint.removeprefix("docker ").split()
        where = ["--project-directory", str(marked.root)] if words[0] == "compose" else []
        docker(*words[:1], *where, *words[1:])
    assert marked.inv("up").status == 0
    assert _read_mark(marked) == "precious"


def _volumes() -> set[str]:
    return set(docker("volume", "ls", "--quiet").split())


def _uses(volume: str, project: Project) -> bool:
    """Return whether Compose labelled a volume as the project's."""
    return project.name in docker("volume", "inspect", "--format", "{{json .Labels}}", volume)


def test_single_container_of_a_clone_does_not_take_the_stack(project: Project, tmp_path: Path):
    assert project.inv("up").status == 0
    root = tmp_path / "clone"
    shutil.copytree(project.root, root, ignore=shutil.ignore_patterns("clone", ".imageproof"))
    started = replace(project, root=root).inv("run-api", "--detach")
    assert started.status == 0, started.messages
    for command in (["up", "--dry-run"], ["up"], ["down"]):
        outcome = project.inv(*command)
        assert outcome.status == 0, outcome.messages
    assert not project.leftovers()


# Runs before `web`, and ends; of the same image, with its health check.
MIGRATE = """
  migrate:
    image: NAME/web:local
    init: true
    command: [python3.11, -c, "print('migrated'); raise SystemExit(0)"]
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 16
    logging: { driver: local }
"""


@pytest.fixture
def migrated(project: Project) -> Project:
    """Return the project with a service that ends before `web` starts."""
    compose = project.root / "compose.yaml"
    compose.write_text(compose.read_text() + MIGRATE.replace("NAME", project.name))
    completed = "depends_on: { migrate: { condition: service_completed_successfully } }"
    project.edit(
        "compose.yaml", "    init: true\n    build", f"    init: true\n    {completed}\n    build"
    )
    return project


def test_service_that_ends_with_0_is_done(migrated: Project):
    for _ in range(2):
        outcome = migrated.inv("up")
        assert outcome.status == 0, outcome.output + outcome.messages
        assert "1 service is running and healthy, 1 ended with 0" in outcome.messages


def test_service_that_ends_with_an_error_fails_with_its_log(migrated: Project):
    migrated.edit("compose.yaml", "SystemExit(0)", "SystemExit(3)")
    outcome = migrated.inv("up")
    assert outcome.status == 1, outcome.messages
    assert "migrate" in outcome.messages
    assert "log: migrated" in outcome.messages, outcome.messages
    assert not migrated.leftovers()
