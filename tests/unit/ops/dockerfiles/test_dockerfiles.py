"""Tests of the Dockerfiles: their shared lines, and each against its contract."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from imageproof.contract import load
from tests.support.sample_facts import ROOT

FILES = sorted((ROOT / "ops/dockerfiles").glob("Dockerfile.*"))
WORKER = ROOT / "ops/dockerfiles/Dockerfile.worker"
BEGIN, END = "# --- Shared lines", "# --- end of the shared lines"
each_file = pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])


def _instructions(text: str) -> list[tuple[str, str]]:
    """Return each instruction with its arguments, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), " ".join(arguments.split())) for word, _, arguments in pairs]


def _last_stage(file: Path) -> list[tuple[str, str]]:
    instructions = _instructions(file.read_text())
    last = max(number for number, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[last:]


def _all(word: str, instructions: list[tuple[str, str]]) -> list[str]:
    """Return the arguments of each instruction with this word."""
    return [arguments for other, arguments in instructions if other == word]


def _single(file: Path, word: str) -> str:
    """Return the arguments of the only instruction with this word in the last stage."""
    (arguments,) = _all(word, _last_stage(file))
    return arguments


def _contract(file: Path):
    return load(ROOT).images[file.name.partition(".")[2]]


def test_every_image_of_the_contract_has_a_dockerfile():
    assert {file.name.partition(".")[2] for file in FILES} == set(load(ROOT).images)


def test_shared_lines_are_identical():
    """BuildKit then runs them once, and the images share the layers."""
    blocks = set()
    for file in FILES:
        text = file.read_text()
        assert text.count(BEGIN) == text.count(END) == 1
        blocks.add(text[text.index(BEGIN) : text.index(END)])
    assert len(blocks) == 1
    (block,) = blocks
    assert "FROM ${PYTHON_BASE} AS base\n" in block
    assert "closure.py" in block


@each_file
def test_no_syntax_line_pulls_a_frontend(file):
    assert not re.search(r"^\s*#\s*syntax\s*=", file.read_text(), re.IGNORECASE | re.MULTILINE)


@each_file
def test_only_the_base_argument_is_pulled(file):
    instructions = _instructions(file.read_text())
    assert instructions[0] == ("ARG", f"{load(ROOT).base.variable}={load(ROOT).base.image}")
    stages = set()
    for arguments in _all("FROM", instructions):
        origin, _, name = arguments.partition(" AS ")
        assert origin in {"${PYTHON_BASE}", "scratch", *stages}
        stages.add(name)
    for arguments in _all("COPY", instructions):
        assert set(re.findall(r"--from=(\S+)", arguments)) <= stages


@each_file
def test_last_stage_is_runtime_from_scratch(file):
    assert _last_stage(file)[0] == ("FROM", "scratch AS runtime")


@each_file
def test_user_is_numeric_and_as_in_the_contract(file):
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", _single(file, "USER"))
    assert _single(file, "USER") == _contract(file).user


@each_file
def test_command_is_in_exec_form_and_as_in_the_contract(file):
    assert tuple(json.loads(_single(file, "CMD"))) == _contract(file).command


@each_file
def test_health_check_is_in_exec_form_and_within_the_contracts_time(file):
    text = _single(file, "HEALTHCHECK")
    assert json.loads(text.partition(" CMD ")[2])
    options = dict(re.findall(r"--(interval|timeout|retries)=(\d+)s?", text))
    worst = (int(options["interval"]) + int(options["timeout"])) * int(options["retries"])
    assert worst <= _contract(file).health.notices_within  # seconds


@each_file
def test_exposed_ports_are_those_of_the_contract(file):
    assert tuple(map(int, _all("EXPOSE", _last_stage(file)))) == _contract(file).ports


@each_file
def test_labels_of_the_contract_are_set(file):
    assert set(_contract(file).labels) <= set(re.findall(r"([\w.]+)=\"", _single(file, "LABEL")))


@each_file
def test_last_stage_copies_from_the_stage_of_the_smoke_test(file):
    assert not _all("RUN", _last_stage(file))
    copies = _all("COPY", _last_stage(file))
    assert any(arguments.startswith("--from=check ") for arguments in copies)


@each_file
def test_smoke_test_runs_without_network_as_the_user_of_the_image(file):
    instructions = _instructions(file.read_text())
    stage = instructions[instructions.index(("FROM", "assembled AS check")) :]
    runs = _all("RUN", stage)
    assert runs
    assert all(arguments.startswith("--network=none ") for arguments in runs)
    user = _single(file, "USER")
    if "code.py" in runs[-1]:  # it compiles as root, then switches to the user
        assert f'"--user", "{user}", "/app"' in runs[-1]
    else:
        assert ("USER", user) in stage[: stage.index(("RUN", runs[-1]))]


@each_file
def test_sources_get_their_modes_in_stages_that_only_copy(file):
    """A copy from such a stage is cached by content, whatever the modes in the checkout are."""
    stage = ""
    for word, arguments in _instructions(file.read_text()):
        if word == "FROM":
            stage = arguments.partition(" AS ")[2]
        if word == "COPY" and "--from=" not in arguments:
            assert stage in {"scripts", "sources"}
            assert arguments.startswith("--chmod=")
        if word == "RUN":
            assert stage not in {"scripts", "sources"}
            mounts = re.findall(r"--mount=type=bind,(\S+)", arguments)
            assert all("from=" in mount for mount in mounts)


def test_version_stands_in_the_compose_file_as_in_pyproject():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'VERSION: "{version}"' in (ROOT / "compose.yaml").read_text()
    for file in FILES:
        assert _all("ARG", _last_stage(file))[-1] == 'VERSION=""'


@each_file
def test_no_argument_or_variable_is_named_like_a_secret(file):
    instructions = _instructions(file.read_text())
    for arguments in [*_all("ARG", instructions), *_all("ENV", instructions)]:
        assert not re.search(r"TOKEN|PASSWORD|SECRET|_KEY|INDEX_URL", arguments, re.IGNORECASE)


@each_file
def test_dependencies_are_installed_with_hashes_from_the_images_lock(file):
    locks = re.findall(r"(locks/\S+) /lock.txt", file.read_text())
    assert locks == list(filter(None, [_contract(file).lock]))
    assert "--require-hashes" in (ROOT / "ops/dockerfiles/base/install.sh").read_text()


def test_watch_covers_the_app_modules_copied_into_the_worker():
    copies = _all("COPY", _instructions(WORKER.read_text()))
    (shared,) = [arguments.split()[1:-1] for arguments in copies if " app/" in arguments]
    watched = (ROOT / "compose/development.yaml").read_text().partition("  worker:\n")[2]
    assert sorted(re.findall(r"path: (app\S*) }", watched)) == sorted(shared)
