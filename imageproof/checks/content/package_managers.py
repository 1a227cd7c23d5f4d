"""content.package-managers: no package manager is in the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import FilesByPath, finding_at, format_paths
from imageproof.image.facts import FileInLayer

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts, Package


@dataclass(frozen=True)
class Manager:
    """A package manager."""

    name: str
    programs: re.Pattern[str]  # the names of its programs
    package: str = ""  # its own package: kind:name


def _manager(name: str, programs: str, package: str = "") -> Manager:
    return Manager(name, re.compile(programs), package)


MANAGERS = (
    _manager("apt", r"apt|apt-get|aptitude", "dpkg:apt"),
    _manager("dpkg", r"dpkg|dpkg-deb", "dpkg:dpkg"),
    _manager("apk", r"apk", "apk:apk-tools"),
    _manager("dnf", r"yum|dnf[\d-]*|microdnf"),
    _manager("rpm", r"rpm"),
    _manager("zypper", r"zypper"),
    _manager("pacman", r"pacman"),
    _manager("pip", r"pip[\d.]*|easy_install[\d.-]*", "python:pip"),
    _manager("pipx", r"pipx", "python:pipx"),
    _manager("uv", r"uvx?", "python:uv"),
    _manager("poetry", r"poetry", "python:poetry"),
    _manager("pdm", r"pdm", "python:pdm"),
    _manager("conda", r"conda|mamba|micromamba", "python:conda"),
    _manager("npm", r"npm|npx", "npm:npm"),
    _manager("yarn", r"yarn|yarnpkg", "npm:yarn"),
    _manager("pnpm", r"pnpm|pnpx", "npm:pnpm"),
    _manager("corepack", r"corepack", "npm:corepack"),
    _manager("gem", r"gem[\d.]*"),
    _manager("composer", r"composer"),
)
_PROGRAM_FOLDER = re.compile(r"(?:^|/)s?bin$")
# pip's own wheel, which `python -m venv` and `python -m ensurepip` install.
_BUNDLED_PIP = re.compile(r"(?:^|/)lib/python3[\d.]*/ensurepip/_bundled/pip-[^/]+\.whl$")


@check(
    "content.package-managers",
    "image",
    title="No package manager is in the image",
    why="A package manager gives intruders every tool they need, and has vulnerabilities of its "
    "own. A service with a read-only root cannot install anything anyway.",
    remedy="Copy the program into a stage that never had one (`FROM scratch`), or remove it there.",
    reference="https://github.com/GoogleContainerTools/distroless; CIS Docker Benchmark 4.3",
)
def package_managers(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each package manager, found by its programs or its package.

    A manager in `programs` of the contract is allowed; content.forbidden reports those in `absent`.
    """
    programs = list(_programs(facts))
    for manager in MANAGERS:
        if _is_in_contract(manager, contract):
            continue
        matches = {
            entry.file.path: entry
            for entry in programs
            if manager.programs.fullmatch(entry.file.name)
        }
        for package, _ in facts.packages:
            # dpkg and apk keep the record of a package whose programs were deleted.
            is_own = f"{package.kind}:{package.name}" == manager.package
            if is_own and package.kind in ("python", "npm"):
                matches[package.record] = facts.files[package.record]
        if matches:
            yield _finding(f"{manager.name} is in the image", matches)
    wheels = {path: entry for path, entry in facts.files.items() if _BUNDLED_PIP.search(path)}
    if wheels and not {"pip", "python:pip"} & {*contract.absent, *contract.programs}:
        yield _finding("ensurepip can install pip", wheels)


def belongs_to_manager(package: Package) -> bool:
    """Return whether a package is a package manager, or is bundled with one (npm and similar)."""
    bundled = re.search(r"node_modules/(?:npm|yarn|pnpm|corepack)/", package.record)
    return bool(bundled) or any(
        manager.package == f"{package.kind}:{package.name}" for manager in MANAGERS
    )


def _programs(facts: ImageFacts) -> Iterator[FileInLayer]:
    """Yield the executables in folders of programs, without dangling links."""
    on_path = {file.path for file, _ in facts.programs.values()}
    for path, entry in facts.files.items():
        is_program = path in on_path or _PROGRAM_FOLDER.search(path.rpartition("/")[0])
        if is_program and entry.file.executable and facts.resolves(path):
            yield entry


def _is_in_contract(manager: Manager, contract: ServiceContract) -> bool:
    return any(
        name == manager.package or manager.programs.fullmatch(name)
        for name in (*contract.absent, *contract.programs)
    )


def _finding(problem: str, files: FilesByPath) -> Finding:
    first = min(files)
    _, layer = files[first]
    return finding_at(first, layer, f"{problem}: {format_paths(files)}")
