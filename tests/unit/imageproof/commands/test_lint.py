"""Tests of the lint command: which linters run, and how their outcomes are printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from imageproof.commands import lint
from imageproof.commands.lint import Outcome, _check_project_files, _run_linter, linter_commands
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
    commands = linter_commands(load(ROOT))
    assert Path(commands["hadolint"][0]).is_file()
    assert {Path(word).name for word in commands["hadolint"]} >= {
        "Dockerfile.api",
        "Dockerfile.worker",
        ".hadolint.yaml",
    }


def test_project_without_dockerfiles_has_no_hadolint_command(tmp_path):
    assert linter_commands(_project(tmp_path)) == {}


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
    commands = linter_commands(_project(tmp_path, file))
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
    assert _run_linter(tmp_path, "tool", _tool(tmp_path, script)) == Outcome("tool", complaints)


def test_linter_runs_in_the_projects_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    outcome = _run_linter(tmp_path / "inner", "tool", _tool(tmp_path, "pwd; exit 1"))
    assert outcome.complaints == (str(tmp_path / "inner"),)


def test_missing_linter_is_a_complaint(tmp_path):
    (complaint,) = _run_linter(tmp_path, "tool", [str(tmp_path / "none")]).complaints
    assert "is not installed" in complaint


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_linter_that_cannot_be_run_is_a_complaint(tmp_path, mode):
    """Not executable, or not for this machine."""
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x7fELF")
    tool.chmod(mode)
    (complaint,) = _run_linter(tmp_path, "tool", [str(tool)]).complaints
    assert "cannot be run" in complaint


BUILT = {
    "matched": {"build": {"context": "ROOT", "dockerfile": "Dockerfile"}},
    "absolute": {"build": {"context": "ROOT/web", "dockerfile": "ROOT/Dockerfile"}},
    "default": {"build": {"context": "ROOT/web"}},
    "other": {"build": {"context": "ROOT", "dockerfile": "deploy/app.Dockerfile"}},
    "inline": {"build": {"context": "ROOT", "dockerfile_inline": "FROM scratch"}},
    "remote": {"build": {"context": "https://example.invalid/shop.git"}},
    "pulled": {"image": "shop/db:1"},
}


def test_dockerfile_that_is_built_but_not_linted_is_a_warning(tmp_path, monkeypatch):
    project = _project(tmp_path, "Dockerfile", "web/Dockerfile", "deploy/app.Dockerfile")
    services = json.loads(json.dumps(BUILT).replace("ROOT", str(tmp_path)))
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: {"services": services})
    warnings = lint._unread_dockerfiles(project, Engine(()))
    assert [warning.partition(":")[0] for warning in warnings] == ["other", "inline", "remote"]
    assert "other: deploy/app.Dockerfile is not linted" in warnings[0]


def test_glob_of_the_contract_that_matches_no_file_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: {})
    _project(tmp_path, "Dockerfile", "docker/web/Dockerfile")
    globs = ("Dockerfile", "docker/*", "docker/*.Dockerfile")
    warnings = lint._unread_dockerfiles(contract(root=tmp_path, dockerfiles=globs), Engine(()))
    assert [warning.split("'")[1] for warning in warnings] == ["docker/*", "docker/*.Dockerfile"]
    assert not lint._unread_dockerfiles(contract(root=tmp_path), Engine(()))


def test_invalid_compose_file_is_a_complaint_and_the_error_of_the_command(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ConfigurationError("reading the compose file", "it is wrong", tail=["line 3"])

    monkeypatch.setattr(Engine, "compose_model", refuse)
    outcome = _check_project_files(contract(), Engine(()))
    assert outcome.complaints == ("reading the compose file: it is wrong",)
    with pytest.raises(ConfigurationError, match="it is wrong"):
        lint.report([Outcome("hadolint", ("Dockerfile:1 is wrong",)), outcome])


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
    """Judge the repository's settings and .env.example beside a made-up compose file."""
    project = load(ROOT).model_copy(update={"stack": None})
    text = (ROOT / "compose.yaml").read_text()
    services = {}
    for service in ("api", "worker"):
        section = text.partition(f"\n  {service}:")[2].partition("\n\n")[0]
        variables = re.findall(r"^ {6}([A-Z_]+): (\$\{.*\})$", section, re.MULTILINE)
        services[service] = GOOD_SERVICE | {"environment": dict(variables)}
    if not agrees:
        del services["api"]["environment"]["LOG_LEVEL"]
    others = "${API_BIND} ${API_PORT} ${PYTHON_BASE}" + (ROOT / "compose/stack.yaml").read_text()
    model = {"services": services, "x-others": others}
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
    complaints = _check_project_files(project, Engine(())).complaints
    assert [line.partition(" but")[0] for line in complaints] == (
        [] if agrees else ["env.parity: LOG_LEVEL is read by api"]
    )


@pytest.mark.parametrize(
    ("changes", "complaints", "warnings"),
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
def test_compose_findings_are_complaints_or_warnings(
    monkeypatch, tmp_path, changes, complaints, warnings
):
    model = {"services": {"till": {**GOOD_SERVICE, **changes}}}
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
    outcome = _check_project_files(contract(root=tmp_path), Engine(()))
    for lines, starts in ((outcome.complaints, complaints), (outcome.warnings, warnings)):
        assert len(lines) == len(starts), lines
        assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_waived_findings_are_not_printed(monkeypatch, tmp_path):
    model = {"services": {"till": {**GOOD_SERVICE, "privileged": True}}}
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
    waivers = {"compose.hardening": "the till drives a printer"}
    outcome = _check_project_files(contract(root=tmp_path, waivers=waivers), Engine(()))
    assert (outcome.complaints, outcome.warnings) == ((), ())


def test_warning_is_printed_and_does_not_fail(monkeypatch, tmp_path):
    outcome = Outcome("compose and environment", (), ("compose.pinned: it may move",))
    monkeypatch.setattr(lint, "linter_commands", lambda _: {})
    monkeypatch.setattr(lint, "_check_project_files", lambda *_: outcome)
    lines = []
    monkeypatch.setattr(lint.console, "say", lines.append)
    lint.lint(contract(root=tmp_path), Engine(()))
    assert "      warning: compose.pinned: it may move" in lines


@pytest.mark.parametrize("script", ["exit 0", "echo bad; exit 1"])
def test_complaint_fails_lint(monkeypatch, tmp_path, script):
    monkeypatch.setattr(lint, "linter_commands", lambda _: {"tool": _tool(tmp_path, script)})
    monkeypatch.setattr(
        lint, "_check_project_files", lambda *_: Outcome("compose and environment", ())
    )
    project = contract(root=tmp_path)
    if script == "exit 0":
        lint.lint(project, Engine(()))
    else:
        with pytest.raises(LintFailed, match="tool complained"):
            lint.lint(project, Engine(()))


def test_hadolint_that_finds_no_dockerfile_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(lint, "_check_project_files", lambda *_: Outcome("compose", ()))
    outcomes = {o.name: o for o in lint.run_linters(_project(tmp_path), Engine(()))}
    assert outcomes["hadolint"].complaints == ()
    assert (
        outcomes["hadolint"].warnings[0].startswith("not run: no Dockerfile matches Dockerfile, ")
    )
