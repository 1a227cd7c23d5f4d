"""The corpus: one folder for each check, with the one defect that this check must find.

A folder holds the difference from the good project in good/:

    Dockerfile             a stage on top of the good image: `FROM web AS planted`. Only this stage
                           is built: named contexts replace the stages below.
    compose.yaml           merged over the good compose file, by Compose's rules. Such a project has
                           no stack file for a Swarm, because that would have to change too.
    compose.override.yaml  merged over the compose file only for the running stack, like a user's
                           own override
    pyproject.toml         keys of the contract that replace the good ones
    bin/docker             the docker client of the commands
    anything else          replaces the good project's file of the same path
    also-*/                a folder like this one: another defect for the same check
    near-miss*/            a folder like this one: similar to the defect, but correct

`lay_out` makes a whole project of a case in .ops/defects/: `IMAGEPROOF_ROOT=... ./inv verify`
works there too.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from imageproof.contract import Contract

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOOD = HERE / "good"
WORK = ROOT / ".ops/defects"
TAG = f"ops-defects-{secrets.token_hex(4)}"  # two runs may overlap
PLACEHOLDER_PROJECT = "ops-defects-unnamed"
OVERRIDE = "compose.override.yaml"
# BuildKit takes much longer for a graph of a hundred targets, which all send their files at once.
TARGETS_PER_GRAPH = 8


@dataclass(frozen=True)
class Case:
    """A folder of the corpus: a defect, a near miss, or the good project."""

    folder: Path
    check: str = ""  # id of the check; empty for the good project

    @property
    def name(self) -> str:
        """`fs.setuid`, or `fs.setuid+near-miss`."""
        return str(self.folder.relative_to(HERE)).replace("/", "+")

    @property
    def planted(self) -> str:
        """The check that must find a defect; empty if none may."""
        return "" if self.folder.name.startswith("near-miss") else self.check

    @property
    def has_image(self) -> bool:
        """Whether the case has an image of its own on top of the good one."""
        return bool(self.check) and (self.folder / "Dockerfile").exists()


@dataclass(frozen=True)
class Project:
    """A case laid out as a whole project."""

    case: Case
    root: Path
    stack: str  # name of the compose project

    @property
    def compose_files(self) -> tuple[Path, ...]:
        """The files of the running stack: the compose file, and the case's override."""
        files = (self.root / "compose.yaml", self.root / OVERRIDE)
        return tuple(file for file in files if file.exists())

    @property
    def client(self) -> str:
        """The docker client of the commands."""
        own = self.root / "bin/docker"
        return str(own) if own.exists() else "docker"

    @property
    def reference(self) -> str:
        """The image of `web`."""
        return reference("web", self.case)

    def tags(self, contract: Contract) -> dict[str, str]:
        """Return each image of the contract, by name.

        Compose would report the same, but takes two processes.
        """
        services = json.loads((self.root / "compose.yaml").read_text())["services"]
        return {name: services[image.service]["image"] for name, image in contract.images.items()}


def reference(service: str, case: Case) -> str:
    """Return a service's image: the good one, or the case's own."""
    own = service == "web" and case.has_image
    return f"{TAG}/{service}:{case.name.replace('+', '-') if own else 'good'}"


def collect() -> list[Case]:
    """Return the good project, then each defect followed by its variants and near misses."""
    cases = [Case(GOOD)]
    for folder in sorted(path for path in HERE.iterdir() if "." in path.name and path.is_dir()):
        cases.append(Case(folder, folder.name))
        cases += [Case(path, folder.name) for path in sorted(folder.iterdir()) if _is_case(path)]
    return cases


def _is_case(path: Path) -> bool:
    return path.is_dir() and path.name.startswith(("also-", "near-miss"))


# --- the project of a case


def lay_out(case: Case) -> Project:
    """Make the project of a case: a copy of the good one with the case's changes."""
    root = WORK / case.name
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(GOOD, root, ignore=shutil.ignore_patterns("__pycache__"))
    project = Project(case, root, stack=f"ops-defects-{secrets.token_hex(4)}")
    if case.folder != GOOD:
        _copy_files(case, root)
        _write_dockerfile(case, root)
        _write_contract(case, root)
    (root / "compose.yaml").write_text(json.dumps(_compose(project), indent=2))
    return project


def _copy_files(case: Case, root: Path) -> None:
    merged = {"compose.yaml", "pyproject.toml", "Dockerfile"}
    for path in case.folder.iterdir():
        if path.is_dir() and not _is_case(path):
            shutil.copytree(path, root / path.name, dirs_exist_ok=True)
        elif path.is_file() and path.name not in merged:
            shutil.copy(path, root)


def _write_dockerfile(case: Case, root: Path) -> None:
    if case.has_image:
        good, own = (folder / "Dockerfile" for folder in (GOOD, case.folder))
        (root / "Dockerfile").write_text(f"{good.read_text()}\n{own.read_text()}")


def _write_contract(case: Case, root: Path) -> None:
    contract = _merge(_read_toml(GOOD), _read_toml(case.folder))
    if (case.folder / "compose.yaml").exists():  # the stack file does not have its changes
        del contract["tool"]["imageproof"]["stack"]
    (root / "pyproject.toml").write_text(
        "".join(f"{key} = {_inline_toml(value)}\n" for key, value in contract.items())
    )


def _read_toml(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    return tomllib.loads(path.read_text()) if path.exists() else {}


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both_tables = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(old, value) if both_tables else value
    return merged


def _inline_toml(value: Any) -> str:
    """Return a value as TOML on one line; a JSON string is a TOML string."""
    if isinstance(value, dict):
        items = (f"{json.dumps(key)} = {_inline_toml(item)}" for key, item in value.items())
        return "{ " + ", ".join(items) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline_toml, value)) + "]"
    return json.dumps(value)


def _compose(project: Project) -> dict[str, Any]:
    """Return the good compose file with the case's changes and image."""
    files = (GOOD / "compose.yaml", project.case.folder / "compose.yaml")
    existing = tuple(dict.fromkeys(filter(Path.exists, files)))
    text = _merge_compose_files(existing).replace(PLACEHOLDER_PROJECT, project.stack)
    model: dict[str, Any] = json.loads(text)
    for keys in model["services"].values():
        keys["image"] = keys["image"].replace("ops-defects/", f"{TAG}/")
    web = model["services"]["web"]
    web["image"] = project.reference
    if project.case.has_image:
        web["build"]["target"] = "planted"
        web["build"]["additional_contexts"] |= _named_contexts("${PYTHON_BASE}")
    return {key: value for key, value in model.items() if not key.startswith("x-")}


@cache
def _merge_compose_files(files: tuple[Path, ...]) -> str:
    """Return Compose's own merge as JSON, for a project whose name is a placeholder."""
    command = ["docker", "compose", "--project-name", PLACEHOLDER_PROJECT]
    command += [f"--file={file}" for file in files]
    command += ["config", "--format", "json", "--no-interpolate", "--no-path-resolution"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{files[-1]}: {result.stderr}"
    return result.stdout


# --- the images of the cases


@contextlib.contextmanager
def built(cases: Sequence[Case], base: str, digest: str) -> Iterator[list[Project]]:
    """Lay the cases out, build their images on a base, and remove the images at the end.

    BuildKit's cache stays and makes the next run fast.
    """
    variables = {"PYTHON_BASE": base, "BASE_DIGEST": digest, "KIOSK_PORT": "0"}
    with mock.patch.dict(os.environ, variables), ThreadPoolExecutor(4) as pool:
        projects = list(pool.map(lay_out, cases))
        try:
            _build(projects)
            yield projects
        finally:
            tags = [project.reference for project in projects if project.case.has_image]
            tags += [reference(name, Case(GOOD)) for name in ("web", "job")]
            subprocess.run(["docker", "image", "rm", "--force", *tags], capture_output=True)


def _build(projects: Sequence[Project]) -> None:
    """Build the good images, then the cases' images on top of them."""
    good, others = projects[0], [project for project in projects if project.case.has_image]
    _bake([_target(good, name, name) for name in ("web", "job")])
    for first in range(0, len(others), TARGETS_PER_GRAPH):
        graph = others[first : first + TARGETS_PER_GRAPH]
        _bake([_target(project, "web", "planted") for project in graph])


def _bake(targets: Sequence[Mapping[str, Any]]) -> None:
    by_name = {str(number): target for number, target in enumerate(targets)}
    definition = {"target": by_name, "group": {"default": {"targets": [*by_name]}}}
    result = subprocess.run(
        ["docker", "buildx", "bake", "--file", "-", "--load", "--progress", "plain"],
        cwd=WORK,
        # The folders are no git checkouts: buildx need not look for a commit.
        env={**os.environ, "BUILDX_BAKE_ENTITLEMENTS_FS": "0", "BUILDX_GIT_INFO": "false"},
        input=json.dumps(definition),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def _target(project: Project, name: str, stage: str) -> dict[str, Any]:
    contexts = _named_contexts(os.environ["PYTHON_BASE"]) if project.case.has_image else {}
    return {
        "context": str(project.root),
        "contexts": {"build-scripts": str(ROOT / "ops/dockerfiles/base"), **contexts},
        "target": stage,
        "args": {key: os.environ[key] for key in ("PYTHON_BASE", "BASE_DIGEST")},
        "tags": [reference(name, project.case)],
        "secret": ["id=pip,src=/dev/null"],
    }


def _named_contexts(base: str) -> dict[str, str]:
    """Return images in place of the stages below `planted`.

    Two builds without cache then build only the planted stage.
    """
    good = reference("web", Case(GOOD))
    return {"web": f"docker-image://{good}", "builder": f"docker-image://{base}"}
