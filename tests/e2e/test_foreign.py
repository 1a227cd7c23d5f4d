"""Another repository with only ops/ and a contract of its own: docs/adopt.md, done.

The harbour (foreign/) knows nothing of this project, and one of its images has no Python. ops/ is
copied beside it, as somebody would who takes it; nothing here reaches back.
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

from imageproof.contract import Contract, ServiceContract
from tests.support.commands import ROOT, Outcome, Project, clean_environment, docker

FOREIGN = Path(__file__).with_name("foreign")
ADOPT = ROOT / "docs/adopt.md"
IMAGES = {"tide", "beacon"}
RUNNING = {"run.nonroot", "run.readonly", "run.listening", "run.limits", "run.healthy"}
DEEP = {"run.stop", "run.health-notices", "run.reaps", "build.reproducible", "secret.canary"}


@dataclass(frozen=True)
class Harbour(Project):
    """The foreign project, with its own copy of the line."""

    def inv(self, *arguments: str, **variables: str) -> Outcome:
        """Its own ./inv, with free ports."""
        given = {"PYTHON_BASE": self.base_image, "TIDE_PORT": "0", "BEACON_PORT": "0", **variables}
        result = subprocess.run(
            [self.root / "inv", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=self.root,
            env=clean_environment(**given),
            stdin=subprocess.DEVNULL,
        )
        return Outcome(result.returncode, result.stdout, result.stderr)

    def results(self, *arguments: str) -> dict[tuple[str, str], str]:
        """What verify says: check and subject, and the status."""
        outcome = self.inv("verify", "--format", "json", *arguments)
        assert outcome.status == 0, outcome.output + outcome.messages
        found = json.loads(outcome.output)["results"]
        return {(result["check"], result["subject"]): result["status"] for result in found}

    def images(self) -> str:
        """Its images that are in the engine."""
        return docker("image", "ls", "-q", f"{self.name}/*")


def _blocks(kind: str) -> list[str]:
    """The fenced blocks of docs/adopt.md."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", ADOPT.read_text(), re.MULTILINE | re.DOTALL)


def _adopt(root: Path) -> None:
    """The shell lines of docs/adopt.md."""
    named = clean_environment(line=str(ROOT))
    for block in _blocks("sh"):
        subprocess.run(["sh", "-eu"], input=block, text=True, cwd=root, env=named, check=True)


def _lend_environment(root: Path) -> None:
    """The environment that this runs in: making one takes a package registry."""
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
    found = Harbour(root, f"ops-e2e-{uuid.uuid4().hex[:8]}", base_image)
    compose = root / "compose.yaml"
    compose.write_text(compose.read_text().replace("harbour", found.name))
    try:
        yield found
    finally:
        found.inv("clean")
        assert found.leftovers() == ""
        assert found.images() == ""


@pytest.fixture(scope="module")
def built(harbour: Harbour) -> Harbour:
    outcome = harbour.inv("build")
    assert outcome.status == 0, outcome.messages
    assert all(f"{harbour.name}/{name}:local" in outcome.output for name in IMAGES)
    return harbour


def test_foreign_project_uses_no_file_of_this_repository(harbour: Harbour, contract: Contract):
    text = "".join(p.read_text() for p in FOREIGN.rglob("*") if p.is_file() and p.suffix != ".pyc")
    assert "upgrade" not in text
    assert not IMAGES & contract.images.keys()
    assert {path.name for path in harbour.root.iterdir()} == {
        *(path.name for path in FOREIGN.iterdir()),
        *("inv", "tasks.py", "ops", "locks", ".gitignore", ".venv"),
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


def test_keys_that_the_adopt_page_calls_required_are_required():
    needed = {name for name, field in ServiceContract.model_fields.items() if field.is_required()}
    (said,) = re.findall(r"^((?:`\w+`,? (?:and )?)+)must be there", ADOPT.read_text(), re.MULTILINE)
    assert set(re.findall(r"\w+(?=`)", said)) == needed


def test_doctor_follows_the_foreign_contract(harbour: Harbour):
    assert harbour.base_image in harbour.inv("doctor").output


def test_lint_reads_existing_files_only(harbour: Harbour):
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
    found = built.results()
    subjects = {subject for _, subject in found}
    assert subjects == {*IMAGES, "project"}
    assert set(found.values()) == {"pass", "not run"}
    for name in IMAGES:
        assert found["run.programs", name] == "pass"
        assert found["secret.file", name] == "pass"
    assert found["pair.shared", "project"] == "pass"


def test_violation_is_reported_or_waived(built: Harbour):
    pyproject = built.root / "pyproject.toml"
    before = pyproject.read_text()
    ask = ("verify", "--static", "--only", "content.forbidden")
    waiver = re.findall(r"^    (\[.*waivers\])\n    (.*)$", ADOPT.read_text(), re.MULTILINE)[0]
    try:
        built.edit("pyproject.toml", '"sh", "python3",', '"busybox", "python3",')
        told = built.inv(*ask)
        pyproject.write_text("\n".join((pyproject.read_text(), *waiver)))
        waived = built.inv(*ask)
    finally:
        pyproject.write_text(before)
    assert told.status == 1
    assert "busybox" in told.output
    assert waived.status == 0, waived.output
    assert "busybox is the server itself" in waived.output


def test_up_to_down(built: Harbour):
    try:
        up = built.inv("up")
        assert up.status == 0, up.output + up.messages
        assert all(f"{name}  http://127.0.0.1:" in up.output for name in IMAGES)
        found = built.results()
        assert set(found.values()) == {"pass", "not run"}
        for name in IMAGES:
            assert {found[check, name] for check in RUNNING} == {"pass"}
    finally:
        down = built.inv("down")
    assert down.status == 0, down.messages
    assert built.leftovers() == ""


def test_deep_passes_for_a_service_without_python(built: Harbour):
    found = built.results("--deep")
    assert set(found.values()) == {"pass", "not run"}
    for name in IMAGES:
        assert {found[check, name] for check in DEEP} == {"pass"}
    assert found["line.teardown", "project"] == "pass"
    assert built.leftovers() == ""


def test_clean_removes_the_projects_images_only(built: Harbour):
    before = set(docker("image", "ls", "--format", "{{.Repository}}").split())
    assert built.inv("clean").status == 0
    assert built.images() == ""
    assert built.base_image.partition(":")[0] in before
    assert docker("image", "ls", "-q", built.base_image)
