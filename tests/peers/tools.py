"""The peers: how each runs on a case of the corpus, and what it complains about.

Their configurations are beside this file. A complaint is a failed rule or test of the tool.
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
    """Paths and versions of the peers; None if a peer is missing on this host."""

    bin: Path
    base: str  # image of the container that goss runs in
    goss: Path | None = None
    goss_version: str = ""  # goss itself prints none
    bench: Path | None = None  # checkout of docker-bench-security


@dataclass(frozen=True)
class Subject:
    """An image of a case, by default the one of `web`, and its container if it runs."""

    kit: Kit
    project: Project
    container: str = ""
    image: str = ""

    @property
    def reference(self) -> str:
        return self.image or self.project.reference


@dataclass(frozen=True)
class Tool:
    """A peer.

    Attributes:
        name: its name.
        input: its input: "image", "stack", "compose" or "Dockerfile".
        by_hand: whether its rules are written by hand for this project.
        complaints: a function that runs it and returns its complaints.
        version: a function that returns its version; None if it is missing on this host.
    """

    name: str
    input: str
    by_hand: bool
    complaints: Callable[[Subject], set[str]]
    version: Callable[[Kit], str | None]


def run(*command: object, cwd: Path | None = None, **variables: str) -> str:
    """Return a command's output. Its status is ignored: most tools fail if they find something."""
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
    )
    return result.stdout or result.stderr


def structure(subject: Subject) -> set[str]:
    """Return the failed tests; of the metadata test, each error."""
    output = run(
        subject.kit.bin / "container-structure-test", "test", "--image", subject.reference,
        "--config", HERE / "structure.yaml", "--output", "json", "--no-color",
    )  # fmt: skip
    return {
        f"{result['Name']}: {error}"
        for result in json.loads(output.partition("\n")[0])["Results"]
        if not result["Pass"]
        for error in result.get("Errors") or ["failed"]
    }


def goss(subject: Subject) -> set[str]:
    """Return the properties that differ, checked from a container beside the service."""
    beside = f"container:{subject.container}"
    output = run(
        "docker", "run", "--rm", "--pid", beside, "--network", beside, "--cap-add=SYS_PTRACE",
        "--volume", f"{subject.kit.goss}:/goss:ro",
        "--volume", f"{HERE / 'goss.yaml'}:/goss.yaml:ro",
        "--entrypoint=/goss", subject.kit.base,
        "--gossfile=/goss.yaml", "validate", "--format=json",
    )  # fmt: skip
    if not output.startswith("{"):
        return {"the container does not run"}
    return {
        f"{result['resource-type']} {result['resource-id']}: {result['property']}"
        for result in json.loads(output)["results"]
        if not result["successful"]
    }


def dive(subject: Subject) -> set[str]:
    """Return the failed rules of its three; the limit of wasted bytes is the contract's."""
    output = run(
        subject.kit.bin / "dive", subject.reference, "--ci", "--highestWastedBytes=100KB",
        CI="true",
    )  # fmt: skip
    return set(re.findall(r"FAIL\S*: (\w+)", output))


def docker_bench(subject: Subject) -> set[str]:
    """Return the warnings of sections 4 and 5 about one container and its image."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        run(
            "bash", "docker-bench-security.sh", "-b", "-l", log, "-c",
            "container_images,container_runtime", "-i",
            f"{subject.container},{subject.reference}", cwd=subject.kit.bench,
        )  # fmt: skip
        output = json.loads(Path(f"{log}.json").read_text())
    return {
        f"{result['id']}: {result['desc']}"
        for section in output["tests"]
        for result in section["results"]
        if result["result"] == "WARN"
    }


def hadolint(subject: Subject) -> set[str]:
    """Return the violated rules, with this repository's configuration."""
    output = run(
        subject.kit.bin / "hadolint", "--config", ROOT / ".hadolint.yaml", "--format", "json",
        subject.project.root / "Dockerfile",
    )  # fmt: skip
    return {f"{finding['code']}: {finding['message']}" for finding in json.loads(output)}


def compose_lint(subject: Subject) -> set[str]:
    """Return the findings about the compose file and its overrides."""
    output = run(
        subject.kit.bin / "compose-lint", "check", "--config", HERE / "compose-lint.yml",
        "--format", "json", "--no-env", subject.project.root / "compose.yaml",
    )  # fmt: skip
    return {
        f"{finding['rule_id']}: {finding['message']}"
        for finding in json.loads(output)["findings"]
        if not finding["suppressed"]
    }


def syft(subject: Subject) -> set[str]:
    """Return the packages that are neither locked nor in the contract's list of packages.

    The rule is written by hand: syft itself only lists packages.
    """
    output = run(subject.kit.bin / "syft", "scan", f"docker:{subject.reference}", "-qo", "json")
    packages = {(p["type"], p["name"], p["version"]) for p in json.loads(output)["artifacts"]}
    root = subject.project.root
    return {" ".join(package) for package in packages if not _is_expected(root, *package)}


def _is_expected(root: Path, kind: str, name: str, version: str) -> bool:
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


def _version(program: str, *arguments: str) -> Callable[[Kit], str | None]:
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
        _version("container-structure-test", "version"),
    ),
    Tool("goss", "stack", True, goss, _goss_version),
    Tool("syft", "image", True, syft, _version("syft", "--version")),
    Tool("dive", "image", False, dive, _version("dive", "--version")),
    Tool("docker-bench-security", "stack", False, docker_bench, _bench_version),
    Tool("hadolint", "Dockerfile", False, hadolint, _version("hadolint", "--version")),
    Tool("compose-lint", "compose", False, compose_lint, _version("compose-lint", "--version")),
)  # fmt: skip
