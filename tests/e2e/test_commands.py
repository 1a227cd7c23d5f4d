"""Each command on a small project without faults."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import time
import urllib.request

from tests.support.commands import Project, docker, docker_images, start_command, wait_until


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


def test_run_api_uses_a_free_port_and_leaves_nothing(project: Project):
    built = project.inv("build")
    assert built.status == 0, built.messages
    with start_command(project, "run-api") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.partition("http://127.0.0.1:")[2].split()[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.recv(64).startswith(b"HTTP/1.0 200")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    wait_until(lambda: not project.leftovers(), 30, "run-api left a container or network")


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


DEVELOPMENT = """
services:
  web:
    develop:
      watch:
        - { action: rebuild, path: index.html }
"""


def _page(port: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as response:
            return str(response.read().decode())
    except (OSError, http.client.HTTPException) as error:  # the latter while the file is replaced
        return str(error)


def test_watch_applies_a_change_to_the_running_stack(project: Project):
    (project.root / "development.yaml").write_text(DEVELOPMENT)
    project.edit(
        "pyproject.toml", "[tool.imageproof]", '[tool.imageproof]\nwatch = "development.yaml"'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    assert project.inv("up", WEB_PORT=port).status == 0
    assert _page(port) == "first\n"
    with start_command(project, "watch", quiet=True, WEB_PORT=port) as process:
        # Several changes: `watch` does not notice one that comes before it watches.
        served = any(_is_served(project, port, f"change {n}") for n in range(12))
        assert served, "no change was served"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _is_served(project: Project, port: str, text: str) -> bool:
    """Change the page; return whether a change is served within six seconds."""
    (project.root / "index.html").write_text(text)
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        if _page(port).startswith("change"):
            return True
        time.sleep(0.2)
    return False
