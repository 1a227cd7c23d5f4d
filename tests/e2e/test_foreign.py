"""imageproof in another repository, as docs/adopt.md describes it.

The harbour (foreign/) has two images, one of them without Python. The toolkit is copied into it by
the shell blocks of the page; no file of this repository is used beside the copies.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import ROOT, Outcome, Project, clean_environment, docker

FOREIGN = Path(__file__).with_name("foreign")
ADOPT = ROOT / "docs/adopt.md"
IMAGES = {"tide", "beacon"}
RUNNING = {"run.nonroot", "run.readonly", "run.listening", "run.limits", "run.healthy"}
DEEP = {"run.stop", "run.health-notices", "run.reaps", "build.reproducible", "secret.canary"}


@dataclass(frozen=True)
class Harbour(Project):
    """The foreign project with its own copy of the toolkit."""

    def inv(self, *arguments: str, **variables: str) -> Outcome:
        """Run the project's own `./inv`, with free ports."""
        defaults = {"PYTHON_BASE": self.base_image, "TIDE_PORT": "0", "BEACON_PORT": "0"}
        result = subprocess.run(
            [self.root / "inv", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=self.root,
            env=clean_environment(**{**defaults, **variables}),
            stdin=subprocess.DEVNULL,
        )
        return Outcome(result.returncode, result.stdout, result.stderr)

    def results(self, *arguments: str) -> dict[tuple[str, str], str]:
        """Run verify; return the status of each check and subject."""
        outcome = self.inv("verify", "--format", "json", *arguments)
        assert outcome.status == 0, outcome.output + outcome.messages
        results = json.loads(outcome.output)["results"]
        return {(result["check"], result["subject"]): result["status"] for result in results}

    def images(self) -> str:
        """Return the ids of the project's images in the engine."""
        return docker("image", "ls", "-q", f"{self.name}/*")


def _blocks(kind: str) -> list[str]:
    """Return the fenced blocks of this kind in docs/adopt.md."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", ADOPT.read_text(), re.MULTILINE | re.DOTALL)


def _adopt(root: Path) -> None:
    """Run the shell blocks of docs/adopt.md."""
    environment = clean_environment(clone=str(ROOT))
    for block in _blocks("sh"):
        subprocess.run(["sh", "-eu"], input=block, text=True, cwd=root, env=environment, check=True)


def _lend_environment(root: Path) -> None:
    """Link this Python environment into the project: creating one needs a package registry."""
    venv = root / ".venv"
    venv.mkdir()
    for name in ("bin", "lib"):
        (venv / name).symlink_to(Path(sys.prefix, name))
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), venv)
    shutil.copy(root / "locks/dev.txt", venv / ".lock")


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[Harbour]:
    root = tmp_path_factory.mktemp("foreign") / "harbour"
    shutil.copytree(FOREIGN, root)
    _adopt(root)
    _lend_environment(root)
    project = Harbour(root, f"ops-e2e-{uuid.uuid4().hex[:8]}", base_image)
    compose = root / "compose.yaml"
    compose.write_text(compose.read_text().replace("harbour", project.name))
    try:
        yield project
    finally:
        project.inv("clean")
        assert project.leftovers() == ""
        assert project.images() == ""


@pytest.fixture(scope="module")
def built(harbour: Harbour) -> Harbour:
    outcome = harbour.inv("build")
    assert outcome.status == 0, outcome.messages
    assert all(f"{harbour.name}/{name}:local" in outcome.output for name in IMAGES)
    return harbour


def test_adopted_project_has_only_the_copied_files(harbour: Harbour):
    assert {path.name for path in harbour.root.iterdir()} == {
        *(path.name for path in FOREIGN.iterdir()),
        *("inv", "tasks.py", "imageproof", "build-scripts", "locks", ".gitignore", ".venv"),
    }


@pytest.mark.parametrize(
    ("kind", "file"),
    [("toml", "pyproject.toml"), ("yaml", "compose.yaml"), ("dockerfile", "tide/Dockerfile")],
)
def test_adopt_page_quotes_the_foreign_project(kind: str, file: str):
    blocks = _blocks(kind)
    assert blocks
    for block in blocks:
        assert block in (FOREIGN / file).read_text()


def test_doctor_names_the_base_image(harbour: Harbour):
    assert harbour.base_image in harbour.inv("doctor").output


def test_lint_runs_hadolint_and_the_compose_checks_only(harbour: Harbour):
    outcome = harbour.inv("lint")
    assert outcome.status == 0, outcome.messages
    assert "hadolint" in outcome.messages
    assert "compose and environment" in outcome.messages
    assert "ruff" not in outcome.messages
    assert "mypy" not in outcome.messages


def test_untracked_env_file_is_not_a_finding(harbour: Harbour):
    (harbour.root / ".env").write_text("TIDE_BIND=0.0.0.0\n")
    try:
        assert harbour.inv("lint").status == 0
        assert harbour.inv("lint", TIDE_BIND="0.0.0.0").status == 0
    finally:
        (harbour.root / ".env").unlink()


def test_compose_fault_is_reported_with_its_remedy(harbour: Harbour):
    harbour.edit("compose.yaml", "  read_only: true\n", "")
    harbour.edit("compose.yaml", "127.0.0.1:${BEACON_PORT", "${BEACON_PORT")
    try:
        outcome = harbour.inv("lint")
    finally:
        harbour.edit("compose.yaml", "  cap_drop:", "  read_only: true\n  cap_drop:")
        harbour.edit("compose.yaml", '"${BEACON_PORT', '"127.0.0.1:${BEACON_PORT')
    assert outcome.status == 1
    for name in IMAGES:
        assert f"compose.hardening: {name} has a writable root (5.13)" in outcome.messages
    assert "compose.exposure: beacon publishes port 8081 on every address" in outcome.messages
    assert outcome.messages.count("compose.") == 3


def test_foreign_images_pass_their_own_contract(built: Harbour):
    results = built.results()
    assert {subject for _, subject in results} == {*IMAGES, "project"}
    assert set(results.values()) == {"pass", "not run"}
    for name in IMAGES:
        assert results["run.programs", name] == "pass"
        assert results["secret.file", name] == "pass"
    assert results["pair.shared", "project"] == "pass"


def test_violation_is_reported_or_waived(built: Harbour):
    pyproject = built.root / "pyproject.toml"
    before = pyproject.read_text()
    command = ("verify", "--static", "--only", "content.forbidden")
    waiver = re.findall(r"^    (\[.*waivers\])\n    (.*)$", ADOPT.read_text(), re.MULTILINE)[0]
    try:
        built.edit("pyproject.toml", '"sh", "python3",', '"busybox", "python3",')
        violated = built.inv(*command)
        pyproject.write_text("\n".join((pyproject.read_text(), *waiver)))
        waived = built.inv(*command)
    finally:
        pyproject.write_text(before)
    assert violated.status == 1
    assert "busybox" in violated.output
    assert waived.status == 0, waived.output
    assert "busybox is the server itself" in waived.output


def test_up_verifies_the_running_stack_and_down_removes_it(built: Harbour):
    try:
        up = built.inv("up")
        assert up.status == 0, up.output + up.messages
        assert all(f"{name}  http://127.0.0.1:" in up.output for name in IMAGES)
        results = built.results()
        assert set(results.values()) == {"pass", "not run"}
        for name in IMAGES:
            assert {results[check, name] for check in RUNNING} == {"pass"}
    finally:
        down = built.inv("down")
    assert down.status == 0, down.messages
    assert built.leftovers() == ""


def test_deep_passes_for_a_service_without_python(built: Harbour):
    results = built.results("--deep")
    assert set(results.values()) == {"pass", "not run"}
    for name in IMAGES:
        assert {results[check, name] for check in DEEP} == {"pass"}
    assert results["line.teardown", "project"] == "pass"
    assert built.leftovers() == ""


def test_clean_keeps_the_base_image(built: Harbour):
    assert built.inv("clean").status == 0
    assert built.images() == ""
    assert docker("image", "ls", "-q", built.base_image)
