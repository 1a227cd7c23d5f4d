"""The peers: how each is asked about one case of the corpus, and what it complains of.

Each has a fair configuration of its own beside this file. A complaint is a rule or a test of the
tool that does not hold.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.defects.corpus import ROOT, Project

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Kit:
    """Where the peers lie, and what some of them need; None: not to be had here."""

    bin: Path
    base: str  # image of the container that goss runs in
    goss: Path | None = None
    goss_version: str = ""  # the program does not say it
    bench: Path | None = None  # checkout of docker-bench-security


@dataclass(frozen=True)
class Asked:
    """One image of a case, by default that of `web`, and its container where it was started."""

    kit: Kit
    project: Project
    container: str = ""
    image: str = ""

    @property
    def reference(self) -> str:
        return self.image or self.project.reference


@dataclass(frozen=True)
class Tool:
    """A peer: what it looks at, and whether its rules are written by hand for this project."""

    name: str
    looks: str  # "image", "stack", "compose", "Dockerfile"
    by_hand: bool
    ask: Callable[[Asked], set[str]]
    version: Callable[[Kit], str | None]  # None: not to be had here


def run(*command: object, cwd: Path | None = None, **variables: str) -> str:
    """What a command writes; most of these tools end with a status that means nothing here."""
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
    )
    return result.stdout or result.stderr


def structure(asked: Asked) -> set[str]:
    """Each test that fails; the metadata test by each of its errors."""
    answer = run(
        asked.kit.bin / "container-structure-test", "test", "--image", asked.reference,
        "--config", HERE / "structure.yaml", "--output", "json", "--no-color",
    )  # fmt: skip
    return {
        f"{result['Name']}: {error}"
        for result in json.loads(answer.partition("\n")[0])["Results"]
        if not result["Pass"]
        for error in result.get("Errors") or ["failed"]
    }


def goss(asked: Asked) -> set[str]:
    """Each property that is not as written, from a container beside the service."""
    beside = f"container:{asked.container}"
    answer = run(
        "docker", "run", "--rm", "--pid", beside, "--network", beside, "--cap-add=SYS_PTRACE",
        "--volume", f"{asked.kit.goss}:/goss:ro", "--volume", f"{HERE / 'goss.yaml'}:/goss.yaml:ro",
        "--entrypoint=/goss", asked.kit.base,
        "--gossfile=/goss.yaml", "validate", "--format=json",
    )  # fmt: skip
    if not answer.startswith("{"):
        return {"the container does not run"}
    return {
        f"{found['resource-type']} {found['resource-id']}: {found['property']}"
        for found in json.loads(answer)["results"]
        if not found["successful"]
    }


def dive(asked: Asked) -> set[str]:
    """Each of its three rules that fails; the bound of wasted bytes is the contract's."""
    answer = run(
        asked.kit.bin / "dive", asked.reference, "--ci", "--highestWastedBytes=100KB",
        CI="true",
    )  # fmt: skip
    return set(re.findall(r"FAIL\S*: (\w+)", answer))


def docker_bench(asked: Asked) -> set[str]:
    """Each warning of sections 4 and 5, of this one container and its image."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        run(
            "bash", "docker-bench-security.sh", "-b", "-l", log, "-c",
            "container_images,container_runtime", "-i",
            f"{asked.container},{asked.reference}", cwd=asked.kit.bench,
        )  # fmt: skip
        answer = json.loads(Path(f"{log}.json").read_text())
    return {
        f"{result['id']}: {result['desc']}"
        for section in answer["tests"]
        for result in section["results"]
        if result["result"] == "WARN"
    }


def hadolint(asked: Asked) -> set[str]:
    """Each rule that it names, as this repository configures it."""
    answer = run(
        asked.kit.bin / "hadolint", "--config", ROOT / ".hadolint.yaml", "--format", "json",
        asked.project.root / "Dockerfile",
    )  # fmt: skip
    return {f"{found['code']}: {found['message']}" for found in json.loads(answer)}


def compose_lint(asked: Asked) -> set[str]:
    """Each finding, of the stack's file and of what is laid over it."""
    answer = run(
        asked.kit.bin / "compose-lint", "check", "--config", HERE / "compose-lint.yml",
        "--format", "json", "--no-env", asked.project.root / "compose.yaml",
    )  # fmt: skip
    return {
        f"{found['rule_id']}: {found['message']}"
        for found in json.loads(answer)["findings"]
        if not found["suppressed"]
    }


def syft(asked: Asked) -> set[str]:
    """It lists packages and judges nothing: the rule by hand is that each is in a lock file, or
    among the contract's packages of the distribution."""
    answer = run(asked.kit.bin / "syft", "scan", f"docker:{asked.reference}", "-qo", "json")
    found = {(p["type"], p["name"], p["version"]) for p in json.loads(answer)["artifacts"]}
    return {" ".join(package) for package in found if not _explained(asked.project.root, *package)}


def _explained(root: Path, kind: str, name: str, version: str) -> bool:
    if kind == "deb":
        contract = tomllib.loads((root / "pyproject.toml").read_text())
        globs = contract["tool"]["imageproof"]["images"]["web"]["packages"]
        return any(fnmatch(name, glob) for glob in globs)
    if kind == "python":
        return (re.sub(r"[-_.]+", "-", name).lower(), version) in set(_locked(root))
    if kind == "npm":
        lock = json.loads((root / "locks/package-lock.json").read_text())["packages"]
        locked = lock.get(f"node_modules/{name}", {}).get("version")
        return locked == version or name == lock[""]["name"]
    return kind == "binary"  # the interpreter itself


def _locked(root: Path) -> Iterator[tuple[str, str]]:
    for line in (root / "locks/web.txt").read_text().splitlines():
        if match := re.match(r"([\w.-]+)==(\S+)", line):
            yield match[1], match[2]


def _said(program: str, *arguments: str) -> Callable[[Kit], str | None]:
    def version(kit: Kit) -> str | None:
        if not (kit.bin / program).exists():
            return None
        match = re.search(r"\d+\.\d+(?:\.\d+)*", run(kit.bin / program, *arguments))
        return match[0] if match else "unknown"

    return version


def _goss_version(kit: Kit) -> str | None:
    return kit.goss_version if kit.goss else None


def _bench_version(kit: Kit) -> str | None:
    script = kit.bench and (kit.bench / "docker-bench-security.sh").read_text()
    match = script and re.search(r"^version='([\d.]+)'", script, re.MULTILINE)
    return match[1] if match else None


TOOLS = (
    Tool(
        "container-structure-test", "image", True, structure,
        _said("container-structure-test", "version"),
    ),
    Tool("goss", "stack", True, goss, _goss_version),
    Tool("syft", "image", True, syft, _said("syft", "--version")),
    Tool("dive", "image", False, dive, _said("dive", "--version")),
    Tool("docker-bench-security", "stack", False, docker_bench, _bench_version),
    Tool("hadolint", "Dockerfile", False, hadolint, _said("hadolint", "--version")),
    Tool("compose-lint", "compose", False, compose_lint, _said("compose-lint", "--version")),
)  # fmt: skip
