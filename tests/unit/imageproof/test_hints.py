"""Tests that what an error advises exists and cures: each command, option and known text."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

from imageproof import errors
from imageproof.cli.program import make_program
from imageproof.docker.errors import translate
from imageproof.docker.known_errors import HINT_ENGINE, KNOWN_ERRORS
from imageproof.errors import ImageproofError, StackFailed
from ops.tasks import namespace
from tests.support.sample_facts import ROOT

# Words that stand for the user's own, as a hint writes them, and a value that fits.
PLACEHOLDERS = {
    "ID": "user.nonroot",
    "SERVICE": "api",
    "FILE": "release.json",
    "NAME": "name",
    "HOST": "host.invalid",
    "USER": "user",
    "PREFIX": "shop",
    "REF": "api:1",
    "TAG": "1",
    "IMAGE": "api",
    "NUMBER": "1",
}
PROGRAMS = {"docker", "sudo", "apt-get", "journalctl", "ssh", "openssl", "df", "ls", "free",
            "dmesg", "lsof", "ulimit", "unset", "timeout"}  # fmt: skip


def _texts(path: Path) -> Iterator[str]:
    """Yield the strings of a module; an f-string's values become a placeholder."""
    tree = ast.parse(path.read_text())
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
             for part in node.values}  # fmt: skip
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "NAME"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield "" if id(node) in parts | docs else node.value


@cache
def _advised_commands() -> frozenset[tuple[str, str]]:
    """Return each command line in backticks, or after a colon, and the module that prints it."""
    commands = set()
    for path in sorted([*(ROOT / "imageproof").rglob("*.py"), *(ROOT / "ops").glob("*.py")]):
        for text in _texts(path):
            spans = re.findall(r"`([^`]+)`", text) + re.findall(r": (\./inv [^`;,]+)$", text)
            commands |= {(path.relative_to(ROOT).as_posix(), span) for span in spans}
    return frozenset(commands)


def _without_a_hint() -> Iterator[str]:
    """Yield the place of each error that is made without a hint."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    for path in sorted([*(ROOT / "imageproof").rglob("*.py"), *(ROOT / "ops").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            is_error = isinstance(node, ast.Call) and getattr(node.func, "id", "") in classes
            if is_error and "hint" not in {keyword.arg for keyword in node.keywords}:
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_each_error_has_a_hint():
    # A command of the user's own inside the container says itself why it failed.
    assert [place for place in _without_a_hint() if "stack/debug.py" not in place] == []


def _ours() -> list[tuple[str, str]]:
    return sorted(item for item in _advised_commands() if "./inv " in item[1])


def _words(command: str) -> list[str]:
    command = re.sub(r"[=:]?…", "", command)
    words = shlex.split(command.split(" | ")[0].split(" > ")[0])
    return [
        re.sub(r"\b[A-Z]{2,}\b", lambda m: PLACEHOLDERS.get(m[0], m[0]), word) for word in words
    ]


def test_hints_name_many_commands():
    assert len(_ours()) > 20


@pytest.mark.parametrize(("module", "command"), _ours())
def test_command_of_a_hint_exists_with_its_options(module, command):
    words = _words(command)
    words = words[words.index("./inv") + 1 :]
    if words and words[0] in ("COMMAND", "name", "--help"):
        return
    core = make_program(namespace, "./inv").initial_context
    try:
        Parser(initial=core, contexts=namespace.to_contexts()).parse_argv(words)
    except ParseError as error:
        pytest.fail(f"{module}: {command}: {error}")


def _dockers() -> list[tuple[str, str]]:
    return sorted(
        item for item in _advised_commands()
        if re.match(r"(?:sudo )?docker [a-z]", item[1]) and "save` " not in item[1]
    )  # fmt: skip


@cache
def _help(words: tuple[str, ...]) -> str:
    result = subprocess.run([*words, "--help"], capture_output=True, text=True)
    return result.stdout + result.stderr if result.returncode == 0 else ""


@pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker program, but no engine")
@pytest.mark.parametrize(("module", "command"), _dockers())
def test_docker_command_of_a_hint_exists_with_its_options(module, command):
    words = [word for word in _words(command) if word != "sudo"]
    names = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)][:2]
    candidates = [("docker", *names[:number]) for number in (2, 1)]
    long = next((c for c in candidates if f"Usage:  {' '.join(c)}" in _help(c)), None)
    assert long, f"{module}: `{command}`"
    for option in [word.split("=")[0] for word in words if word.startswith("--")]:
        assert option in _help(long) + _help(("docker",)), f"{module}: `{command}`"


# Outputs of Docker Engine 26 and 28, buildx 0.13 and Compose 2.26, with what they must become.
OUTPUTS = {
    "write /var/lib/docker/tmp/x: no space left on device": (3, "docker system df"),
    "Bind for 127.0.0.1:8000 failed: port is already allocated": (3, "another host port"),
    'Error response from daemon: Conflict. The container name "/shop-1" is already in use by '
    'container "07a1". You have to remove (or rename)': (3, "`docker rename shop-1 shop-1-old`"),
    "rpc error: code = Unknown desc = The swarm does not have a leader.": (3, "managers"),
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/"
    "docker.sock: dial unix /var/run/docker.sock: connect: permission denied": (3, "usermod"),
    "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: x y": (
        2, "unset DOCKER_HOST"),
    'Failed to initialize: unable to resolve docker endpoint: context "nosuch": context not found: '
    "open /root/.docker/contexts/meta/9e/meta.json: no such file": (2, "docker context ls"),
    'error during connect: Get "http://docker.example.com/v1.50/version": command [ssh -T -- '
    "nohost.invalid docker system dial-stdio] has exited with exit status 255": (3, "ssh HOST"),
    "invalid character '<' looking for beginning of value": (3, "doctor"),
    "Error response from daemon: <html>bad gateway</html>": (3, "doctor"),
    'error during connect: Get "http://x/images/json": net/http: HTTP/1.x transport connection '
    'broken: malformed HTTP status code "smtp"': (3, "doctor"),
    "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?": (
        3, "doctor"),
    'ERROR: no builder "nosuch" found': (2, "docker buildx ls"),
    "ERROR: Multi-platform build is not supported for the docker driver.": (2, "buildx create"),
    "ERROR: docker exporter does not currently support exporting manifest lists": (
        2, "buildx create"),
    "ERROR: Cache export is not supported for the docker driver.": (2, "buildx create"),
    'ERROR: "foo": unknown operating system or architecture: invalid argument': (2, "buildx ls"),
    "ERROR: failed to solve: operating system is not supported": (2, "buildx ls"),
    "ERROR: registry cache importer requires ref": (2, "--cache-from"),
    "yaml: line 3: did not find expected key": (2, "docker compose config"),
    "error decoding 'services[web].mem_limit': invalid size: 'x'": (2, "docker compose config"),
    "env file /x/nosuch.env not found: stat /x/nosuch.env: no such file": (2, "compose config"),
    'service "web" depends on undefined service "x": invalid compose project': (2, "config"),
    " Container shop-1  Creating\nError response from daemon: Minimum memory limit allowed is 6MB":
        (2, "correct the compose file"),
    " Container a-1  Created\n Container b-1  Creating\nError response from daemon: Range of CPUs "
    "is from 0.01 to 2.00": (2, "correct the compose file"),
    " Container shop-1  Starting\nError response from daemon: unable to find user nosuch: no "
    "matching entries in passwd file": (2, "correct the compose file"),
    "Error starting userland proxy: listen tcp4 203.0.113.9:80: bind: cannot assign requested "
    "address": (2, "correct the compose file"),
    'unable to start container process: exec: "/nosuch": stat /nosuch: no such file': (
        1, "`./inv build`"),
}  # fmt: skip


@pytest.mark.parametrize("output", OUTPUTS)
def test_text_of_docker_has_its_status_and_a_hint_that_fits(output, monkeypatch):
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    status, hint = OUTPUTS[output]
    error = translate("starting", output)
    assert (error.status, type(error) is ImageproofError) == (status, False)
    assert hint in (error.hint or "")
    assert "{" not in error.cause + (error.hint or "").replace("{image}", "")


def test_every_known_text_is_tested():
    for known in KNOWN_ERRORS:
        assert any(known.pattern.search(output) for output in OUTPUTS), known.pattern.pattern


def test_start_of_a_missing_image_is_not_a_refused_value():
    output = " Container shop-1  Creating\nError response from daemon: No such image: shop:1"
    assert type(translate("starting", output)) is StackFailed


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_engine_that_a_variable_chose_is_not_provisioned(variable, monkeypatch):
    output = "Cannot connect to the Docker daemon at tcp://nonsense:2375."
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    assert translate("starting", output).hint == HINT_ENGINE
    monkeypatch.setenv(variable, "nonsense")
    hint = translate("starting", output).hint or ""
    assert "provision" not in hint
    assert f"`unset {variable}`" in hint
