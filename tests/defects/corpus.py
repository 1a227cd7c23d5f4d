"""The corpus: one folder a check, each with the one fault that this check must find.

A folder holds what makes the good project (good/) fall short, and nothing else:

    Dockerfile             a stage on top of the good image: `FROM web AS planted`; what is built is
                           this alone, since named contexts stand for the stages below it
    compose.yaml           laid over the stack's file, by Compose's own rules; such a project has
                           no file for a swarm, which would have to follow
    compose.override.yaml  laid over the running stack alone, as somebody's own override is
    pyproject.toml         keys of the contract that replace the good ones
    bin/docker             the client that the line calls, in place of the machine's
    anything else          takes the place of the good project's file of that name
    also-*/                a folder of the same kind: the same check, another fault
    near-miss*/            a folder of the same kind, that looks like the fault and is none

`lay_out` makes a whole project of it, in .ops/defects/, for `IMAGEPROOF_ROOT=... ./inv verify` too.
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

from imageproof.contract import Contract
from imageproof.docker.environment import temporary_environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOOD = HERE / "good"
WORK = ROOT / ".ops/defects"
TAG = f"ops-defects-{secrets.token_hex(4)}"  # this run's own: another may be under way
UNNAMED = "ops-defects-unnamed"
OVERRIDE = "compose.override.yaml"


@dataclass(frozen=True)
class Case:
    """A folder of the corpus: a defect, a near miss, or the good project itself."""

    folder: Path
    check: str = ""  # the check that it is about; none: the good project

    @property
    def name(self) -> str:
        """`fs.setuid`, or `fs.setuid+near-miss`."""
        return str(self.folder.relative_to(HERE)).replace("/", "+")

    @property
    def planted(self) -> str:
        """The check that must find something; none: nothing may be found."""
        return "" if self.folder.name.startswith("near-miss") else self.check

    @property
    def has_image(self) -> bool:
        """Whether it lays something over the good image."""
        return bool(self.check) and (self.folder / "Dockerfile").exists()


@dataclass(frozen=True)
class Project:
    """A case laid out as a whole project."""

    case: Case
    root: Path
    stack: str  # name of the compose project

    @property
    def compose_files(self) -> tuple[Path, ...]:
        """What is started: the stack's file, and what somebody laid over it."""
        files = (self.root / "compose.yaml", self.root / OVERRIDE)
        return tuple(file for file in files if file.exists())

    @property
    def client(self) -> str:
        """The docker client that its commands call."""
        planted = self.root / "bin/docker"
        return str(planted) if planted.exists() else "docker"

    @property
    def reference(self) -> str:
        """The image of `web`."""
        return reference("web", self.case)

    def tags(self, terms: Contract) -> dict[str, str]:
        """The image of each name of the contract, as the compose file was written: Compose would
        say the same, and takes two processes to say it."""
        services = json.loads((self.root / "compose.yaml").read_text())["services"]
        return {name: services[image.service]["image"] for name, image in terms.images.items()}


def reference(service: str, case: Case) -> str:
    """The image of a service: the good one, unless the case lays something over it."""
    laid_over = service == "web" and case.has_image
    return f"{TAG}/{service}:{case.name.replace('+', '-') if laid_over else 'good'}"


def collect() -> list[Case]:
    """The good project, then each defect followed by its near misses."""
    found = [Case(GOOD)]
    for folder in sorted(path for path in HERE.iterdir() if "." in path.name and path.is_dir()):
        found.append(Case(folder, folder.name))
        found += [Case(path, folder.name) for path in sorted(folder.iterdir()) if _is_case(path)]
    return found


def _is_case(path: Path) -> bool:
    return path.is_dir() and path.name.startswith(("also-", "near-miss"))


def lay_out(case: Case) -> Project:
    """Make a whole project of a case: the good one, with what the case lays over it."""
    root = WORK / case.name
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(GOOD, root, ignore=shutil.ignore_patterns("__pycache__"))
    project = Project(case, root, stack=f"ops-defects-{secrets.token_hex(4)}")
    laid = {"compose.yaml", "pyproject.toml", "Dockerfile"}
    if case.folder != GOOD:
        for path in case.folder.iterdir():
            if path.is_dir() and not _is_case(path):
                shutil.copytree(path, root / path.name, dirs_exist_ok=True)
            elif path.is_file() and path.name not in laid:
                shutil.copy(path, root)
        if case.has_image:
            text = (GOOD / "Dockerfile").read_text() + "\n" + _text(case, "Dockerfile")
            (root / "Dockerfile").write_text(text)
        contract = _merged(_toml(GOOD), _toml(case.folder))
        if (case.folder / "compose.yaml").exists():  # which the swarm's file does not follow
            del contract["tool"]["imageproof"]["stack"]
        (root / "pyproject.toml").write_text(
            "".join(f"{key} = {_inline(value)}\n" for key, value in contract.items())
        )
    (root / "compose.yaml").write_text(json.dumps(_compose(project), indent=2))
    return project


def _text(case: Case, name: str) -> str:
    return (case.folder / name).read_text()


def _toml(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    return tomllib.loads(path.read_text()) if path.exists() else {}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        merged[key] = _merged(known, value) if both else value
    return merged


def _inline(value: Any) -> str:
    """A value as TOML writes it in one line; a string of JSON is one of TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def _compose(project: Project) -> dict[str, Any]:
    """The stack's file, with what the case lays over it, and with its own image."""
    files = (GOOD / "compose.yaml", project.case.folder / "compose.yaml")
    there = tuple(dict.fromkeys(filter(Path.exists, files)))
    model: dict[str, Any] = json.loads(_laid_over(there).replace(UNNAMED, project.stack))
    for keys in model["services"].values():
        keys["image"] = keys["image"].replace("ops-defects/", f"{TAG}/")
    web = model["services"]["web"]
    web["image"] = project.reference
    if project.case.has_image:
        web["build"]["target"] = "planted"
        web["build"]["additional_contexts"] |= _below("${PYTHON_BASE}")
    return {key: value for key, value in model.items() if not key.startswith("x-")}


@cache
def _laid_over(files: tuple[Path, ...]) -> str:
    """Compose's own reading of these files, of a project that has no name yet."""
    command = ["docker", "compose", "--project-name", UNNAMED]
    command += [f"--file={file}" for file in files]
    command += ["config", "--format", "json", "--no-interpolate", "--no-path-resolution"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{files[-1]}: {result.stderr}"
    return result.stdout


@contextlib.contextmanager
def in_engine(cases: Sequence[Case], base: str, digest: str) -> Iterator[list[Project]]:
    """Lay the cases out, build their images from that base, and remove them at the end.

    What BuildKit keeps of them makes the next time quick.
    """
    given = {"PYTHON_BASE": base, "BASE_DIGEST": digest, "KIOSK_PORT": "0"}
    with temporary_environment(given), ThreadPoolExecutor(4) as pool:
        projects = list(pool.map(lay_out, cases))
        try:
            build(projects)
            yield projects
        finally:
            tags = [project.reference for project in projects if project.case.has_image]
            tags += [reference(name, Case(GOOD)) for name in ("web", "job")]
            subprocess.run(["docker", "image", "rm", "--force", *tags], capture_output=True)


def build(projects: Sequence[Project]) -> None:
    """Build every image of the corpus: the good ones, then what stands on them. Eight a graph:
    BuildKit takes much longer over a hundred at once, each of which sends files of its own."""
    good, others = projects[0], [project for project in projects if project.case.has_image]
    _bake([_target(good, name, name) for name in ("web", "job")])
    for first in range(0, len(others), 8):
        _bake([_target(project, "web", "planted") for project in others[first : first + 8]])


def _bake(targets: Sequence[Mapping[str, Any]]) -> None:
    named = {str(number): target for number, target in enumerate(targets)}
    graph = {"target": named, "group": {"default": {"targets": [*named]}}}
    result = subprocess.run(
        ["docker", "buildx", "bake", "--file", "-", "--load", "--progress", "plain"],
        cwd=WORK,
        # Of the folders here no commit need be found out.
        env={**os.environ, "BUILDX_BAKE_ENTITLEMENTS_FS": "0", "BUILDX_GIT_INFO": "false"},
        input=json.dumps(graph),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def _target(project: Project, name: str, stage: str) -> dict[str, Any]:
    below = _below(os.environ["PYTHON_BASE"]) if project.case.has_image else {}
    return {
        "context": str(project.root),
        "contexts": {"build-scripts": str(ROOT / "ops/dockerfiles/base"), **below},
        "target": stage,
        "args": {key: os.environ[key] for key in ("PYTHON_BASE", "BASE_DIGEST")},
        "tags": [reference(name, project.case)],
        "secret": ["id=pip,src=/dev/null"],
    }


def _below(base: str) -> dict[str, str]:
    """What a planted image is laid over, in place of the stages that made it: so two builds without
    cache are builds of what is planted alone."""
    good = reference("web", Case(GOOD))
    return {"web": f"docker-image://{good}", "builder": f"docker-image://{base}"}
