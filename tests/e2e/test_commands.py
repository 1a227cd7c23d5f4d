"""Each command on a small project without faults."""

from __future__ import annotations

import json
import subprocess

from tests.support.commands import Project, docker, docker_images


def test_good_project_goes_up_and_down(project: Project):
    """The control of test_faults.py: without a fault, the project passes every command."""
    (project.root / ".env").write_text("GREETING=from-the-file\n")
    outcome = project.inv("up")
    assert outcome.status == 0, outcome.output + outcome.messages
    assert "http://127.0.0.1:" in outcome.output
    assert project.inv("verify").status == 0
    assert project.inv("ps").output.count("healthy") == 1
    assert project.inv("logs", "--service", "web").status == 0
    environment = project.inv("debug", "web", "--command", "cat /proc/1/environ").output
    assert "GREETING=from-the-file" in environment
    assert _served(project) == "first\n"
    assert project.inv("down", "--volumes").status == 0
    assert not project.leftovers()


def _served(project: Project) -> str:
    """Return the page in the running container."""
    return project.inv("debug", "web", "--command", "cat /proc/1/root/srv/index.html").output


def test_lint_and_verify_are_cached_until_an_input_changes(project: Project):
    subprocess.run(["git", "init", "--quiet", str(project.root)], check=True)
    assert project.inv("up").status == 0
    again = project.inv("up")
    assert again.status == 0, again.messages
    assert again.messages.count("(cached, ") == 3, again.messages  # lint, verify, verify
    docker("restart", f"{project.name}-web-1")
    restarted = project.inv("up").messages
    assert restarted.count("(cached, ") == 2, restarted  # the running stack is verified again
    project.edit("index.html", "first", "second")
    changed = project.inv("up")
    assert "(cached, " not in changed.messages, changed.messages
    assert _served(project) == "second\n"


def test_run_api_shows_the_log_of_a_failed_start(project: Project):
    project.edit(
        "compose.yaml",
        "    read_only: true",
        "    read_only: true\n    command: [python3.11, -c, \"raise SystemExit('gave up: 42')\"]",
    )
    outcome = project.inv("run-api")
    assert outcome.status == 1
    assert "gave up: 42" in outcome.messages
    assert not project.leftovers()


def test_clean_removes_only_this_projects_images(project: Project):
    assert project.inv("build").status == 0
    own, other = f"{project.name}/web:local", f"{project.name}-2/web:local"
    docker("tag", own, other)
    before = docker_images()
    try:
        assert project.inv("clean").status == 0
        assert docker("image", "ls", "-q", other)
    finally:
        docker("image", "rm", other)
    assert docker("image", "ls", "-q", own) == ""
    assert before <= docker_images()


def test_provision_changes_nothing_on_a_complete_machine(project: Project):
    outcome = project.inv("provision")
    assert outcome.status == 0, outcome.messages
    assert "nothing to do" in outcome.messages


def test_doctor_passes_on_this_machine(project: Project):
    outcome = project.inv("doctor", "--format", "json")
    items = {item["name"]: item for item in json.loads(outcome.output)}
    assert outcome.status == 0
    assert all(item["ok"] for item in items.values())
    assert {"engine", "buildx", "compose", "base image", "disk"} <= items.keys()
