"""The Dockerfiles: their shared lines, and each against its contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from imageproof.contract import load
from tests.support.sample_facts import ROOT

FILES = sorted((ROOT / "ops/dockerfiles").glob("Dockerfile.*"))
WORKER = ROOT / "ops/dockerfiles/Dockerfile.worker"
BEGIN, END = "# --- Shared lines", "# --- end of the shared lines"
each = pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])


def _instructions(text: str) -> list[tuple[str, str]]:
    """Return each instruction with its arguments, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), " ".join(rest.split())) for word, _, rest in pairs]


def _last_stage(file: Path) -> list[tuple[str, str]]:
    found = _instructions(file.read_text())
    last = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[last:]


def _single(file: Path, word: str) -> str:
    """Return the arguments of the only instruction of that name in the last stage."""
    (rest,) = [rest for found, rest in _last_stage(file) if found == word]
    return rest


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


@each
def test_no_syntax_line_pulls_a_frontend(file):
    assert not re.search(r"^\s*#\s*syntax\s*=", file.read_text(), re.IGNORECASE | re.MULTILINE)


@each
def test_only_the_base_argument_is_pulled(file):
    found = _instructions(file.read_text())
    assert found[0] == ("ARG", f"{load(ROOT).base.variable}={load(ROOT).base.image}")
    stages = set()
    for _, rest in (pair for pair in found if pair[0] == "FROM"):
        origin, _, name = rest.partition(" AS ")
        assert origin in {"${PYTHON_BASE}", "scratch", *stages}
        stages.add(name)
    for _, rest in (pair for pair in found if pair[0] == "COPY" and "--from=" in pair[1]):
        assert re.search(r"--from=(\S+)", rest)[1] in stages


@each
def test_last_stage_is_runtime_from_scratch(file):
    assert _last_stage(file)[0] == ("FROM", "scratch AS runtime")


@each
def test_user_is_numeric_and_as_in_the_contract(file):
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", _single(file, "USER"))
    assert _single(file, "USER") == _contract(file).user


@each
def test_command_is_in_exec_form_and_as_in_the_contract(file):
    assert tuple(json.loads(_single(file, "CMD"))) == _contract(file).command


@each
def test_health_check_is_in_exec_form_and_within_the_contracts_time(file):
    text = _single(file, "HEALTHCHECK")
    assert json.loads(text.partition(" CMD ")[2])
    found = dict(re.findall(r"--(interval|timeout|retries)=(\d+)s?", text))
    worst = (int(found["interval"]) + int(found["timeout"])) * int(found["retries"])
    assert worst <= _contract(file).health.notices_within


@each
def test_exposed_ports_are_those_of_the_contract(file):
    exposed = [int(rest) for word, rest in _last_stage(file) if word == "EXPOSE"]
    assert tuple(exposed) == _contract(file).ports


@each
def test_labels_of_the_contract_are_set(file):
    assert set(_contract(file).labels) <= set(re.findall(r"([\w.]+)=\"", _single(file, "LABEL")))


@each
def test_last_stage_copies_from_the_stage_of_the_smoke_test(file):
    assert "RUN" not in {word for word, _ in _last_stage(file)}
    copied = [rest for word, rest in _last_stage(file) if word == "COPY"]
    assert any(rest.startswith("--from=check ") for rest in copied)
    found = _instructions(file.read_text())
    stage = found[found.index(("FROM", "assembled AS check")) :]
    ran = [rest for word, rest in stage if word == "RUN"]
    assert ran
    assert all(rest.startswith("--network=none ") for rest in ran)
    if "code.py" in ran[-1]:  # which becomes the user that ships, after it compiled as root
        user = _single(file, "USER")
        assert f'"--user", "{user}", "/app"' in ran[-1]
    else:
        assert ("USER", _single(file, "USER")) in stage[: stage.index(("RUN", ran[-1]))]


@each
def test_no_argument_or_variable_is_named_like_a_secret(file):
    for word, rest in _instructions(file.read_text()):
        if word in {"ARG", "ENV"}:
            assert not re.search(r"TOKEN|PASSWORD|SECRET|_KEY|INDEX_URL", rest, re.IGNORECASE)


@each
def test_dependencies_are_installed_with_hashes_from_the_images_lock(file):
    installed = re.findall(r"source=locks/(\S+?),", file.read_text())
    assert [f"locks/{name}" for name in installed] == list(filter(None, [_contract(file).lock]))
    assert "--require-hashes" in (ROOT / "ops/dockerfiles/base/install.sh").read_text()


def test_watch_covers_the_app_modules_copied_into_the_worker():
    copied = [rest for word, rest in _instructions(WORKER.read_text()) if word == "COPY"]
    (shared,) = [rest.split()[:-1] for rest in copied if rest.startswith("app/")]
    watched = (ROOT / "compose/development.yaml").read_text().partition("  worker:\n")[2]
    assert sorted(re.findall(r"path: (app\S*) }", watched)) == sorted(shared)
