"""The lint command: linters run on existing files, and their complaints are printed."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from imageproof.commands import lint
from imageproof.commands.lint import Outcome, _compose, _run, linters
from imageproof.contract import load
from imageproof.docker.client import Engine
from imageproof.errors import ConfigurationError, LintFailed
from tests.support.sample_facts import ROOT, contract


def _project(folder: Path, *files: str):
    (folder / "pyproject.toml").write_text("[tool.imageproof]\n")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return contract(root=folder)


def test_hadolint_reads_the_dockerfiles_of_this_project():
    commands = linters(load(ROOT))
    assert Path(commands["hadolint"][0]).is_file()
    assert {Path(word).name for word in commands["hadolint"]} >= {
        "Dockerfile.api",
        "Dockerfile.worker",
        ".hadolint.yaml",
    }


def test_project_without_dockerfiles_needs_no_hadolint(tmp_path):
    assert linters(_project(tmp_path)) == {}


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("Dockerfile", {"hadolint"}),
        ("Dockerfile.x", {"hadolint"}),
        ("web/Dockerfile", {"hadolint"}),
        ("one/two/Dockerfile", set()),
    ],
)
def test_dockerfiles_are_found_by_the_globs_of_the_contract(tmp_path, file, names):
    commands = linters(_project(tmp_path, file))
    assert commands.keys() == names
    for command in commands.values():
        assert command[-1] == str(tmp_path / file)


def _tool(folder: Path, script: str) -> list[str]:
    tool = folder / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return [str(tool), "an argument"]


@pytest.mark.parametrize(
    ("script", "complaints"),
    [
        ("exit 0", ()),
        ("echo all is well; exit 0", ()),
        ("echo 'a.py:1: bad'; exit 1", ("a.py:1: bad",)),
        ("echo; echo one; echo two >&2; exit 2", ("one", "two")),
        ("exit 3", ("it ended with status 3",)),
        ('echo "$1"; exit 1', ("an argument",)),
        ('read -r line || echo "nothing to read"; exit 1', ("nothing to read",)),
    ],
)
def test_complaints_of_a_linter_are_returned(tmp_path, script, complaints):
    assert _run(tmp_path, "tool", _tool(tmp_path, script)) == Outcome("tool", complaints)


def test_linter_runs_in_the_projects_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    outcome = _run(tmp_path / "inner", "tool", _tool(tmp_path, "pwd; exit 1"))
    assert outcome.complaints == (str(tmp_path / "inner"),)


def test_missing_linter_is_a_complaint(tmp_path):
    (said,) = _run(tmp_path, "tool", [str(tmp_path / "none")]).complaints
    assert "is not installed" in said


def test_invalid_compose_file_is_a_complaint(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ConfigurationError("reading the compose file", "it is wrong", tail=["line 3"])

    monkeypatch.setattr(Engine, "compose_model", refuse)
    outcome = _compose(contract(), Engine(()))
    assert outcome.complaints == ("reading the compose file: it is wrong", "line 3")


GOOD_SERVICE = {
    "image": "shop/web:1@sha256:" + "0" * 64,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
    "mem_limit": "1048576",
    "cpus": 1,
    "pids_limit": 8,
    "logging": {"driver": "local"},
}


@pytest.mark.parametrize("agrees", [True, False])
def test_differing_environment_variables_are_a_complaint(monkeypatch, agrees):
    """The repository's own settings and .env.example, with a made-up compose file."""
    project = load(ROOT).model_copy(update={"stack": None})
    text = (ROOT / "compose.yaml").read_text()
    names = {
        name: re.findall(
            r"^ {6}([A-Z_]+): ",
            text.partition(f"\n  {name}:")[2].partition("\n\n")[0],
            re.MULTILINE,
        )
        for name in ("api", "worker")
    }
    defaults = dict(re.findall(r"^ {6}([A-Z_]+): (\$\{.*\})$", text, re.MULTILINE))
    services = {
        service: GOOD_SERVICE | {"environment": {name: defaults[name] for name in found}}
        for service, found in names.items()
    }
    rest = {
        "x": "${API_BIND} ${API_PORT} ${PYTHON_BASE}" + (ROOT / "compose/stack.yaml").read_text()
    }
    if not agrees:
        del services["api"]["environment"]["LOG_LEVEL"]
    monkeypatch.setattr(
        Engine, "compose_model", lambda *_, **__: {"services": services, "x-rest": rest}
    )
    complaints = _compose(project, Engine(())).complaints
    assert [line.partition(" but")[0] for line in complaints] == (
        [] if agrees else ["env.parity: LOG_LEVEL is read by api"]
    )


@pytest.mark.parametrize(
    ("changes", "complaints", "remarks"),
    [
        ({}, [], []),
        ({"privileged": True}, ["compose.hardening: till is privileged"], []),
        ({"ports": [{"target": 80}]}, ["compose.exposure: till publishes port 80"], []),
        ({"image": "shop/web:1"}, [], ["compose.pinned: till runs shop/web:1, whose tag"]),
        (
            {"tmpfs": ["/tmp:exec"], "cap_drop": []},
            ["compose.hardening: till keeps the default capabilities"],
            ["compose.hardening: till can execute files"],
        ),
    ],
)
def test_compose_findings_are_complaints_or_remarks(
    monkeypatch, tmp_path, changes, complaints, remarks
):
    model = {"services": {"till": {**GOOD_SERVICE, **changes}}}
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
    outcome = _compose(contract(root=tmp_path), Engine(()))
    for said, expected in ((outcome.complaints, complaints), (outcome.remarks, remarks)):
        assert len(said) == len(expected), said
        assert all(line.startswith(start) for line, start in zip(said, expected, strict=True))


def test_waived_findings_are_not_printed(monkeypatch, tmp_path):
    model = {"services": {"till": {**GOOD_SERVICE, "privileged": True}}}
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
    waivers = {"compose.hardening": "the till drives a printer"}
    outcome = _compose(contract(root=tmp_path, waivers=waivers), Engine(()))
    assert (outcome.complaints, outcome.remarks) == ((), ())


def test_remark_is_printed_and_does_not_fail(monkeypatch, tmp_path):
    said = Outcome("compose and environment", (), ("compose.pinned: it may move",))
    monkeypatch.setattr(lint, "linters", lambda _: {})
    monkeypatch.setattr(lint, "_compose", lambda *_: said)
    lines = []
    monkeypatch.setattr(lint.console, "say", lines.append)
    assert lint.report(lint.run_linters(SimpleNamespace(root=tmp_path), Engine(()))) is False
    assert "      warning: compose.pinned: it may move" in lines


@pytest.mark.parametrize("script", ["exit 0", "echo bad; exit 1"])
def test_one_complaint_fails_lint(monkeypatch, tmp_path, script):
    monkeypatch.setattr(lint, "linters", lambda _: {"tool": _tool(tmp_path, script)})
    monkeypatch.setattr(lint, "_compose", lambda *_: Outcome("compose and environment", ()))
    project = SimpleNamespace(root=tmp_path)
    if script == "exit 0":
        assert lint.report(lint.run_linters(project, Engine(()))) is True
    else:
        with pytest.raises(LintFailed, match="tool complained"):
            lint.lint(project, Engine(()))
