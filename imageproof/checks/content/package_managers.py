"""Package managers: what each is called as a program, and as a package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check, named

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer, Package


@dataclass(frozen=True)
class Manager:
    """One package manager. `package`: `kind:name` of what brings it."""

    name: str
    programs: str  # pattern of their names
    package: str = ""


MANAGERS = (
    Manager("apt", r"apt|apt-get|aptitude", "dpkg:apt"),
    Manager("dpkg", r"dpkg|dpkg-deb", "dpkg:dpkg"),
    Manager("apk", r"apk", "apk:apk-tools"),
    Manager("dnf", r"yum|dnf[\d-]*|microdnf"),
    Manager("rpm", r"rpm"),
    Manager("zypper", r"zypper"),
    Manager("pacman", r"pacman"),
    Manager("pip", r"pip[\d.]*|easy_install[\d.-]*", "python:pip"),
    Manager("pipx", r"pipx", "python:pipx"),
    Manager("uv", r"uvx?", "python:uv"),
    Manager("poetry", r"poetry", "python:poetry"),
    Manager("pdm", r"pdm", "python:pdm"),
    Manager("conda", r"conda|mamba|micromamba", "python:conda"),
    Manager("npm", r"npm|npx", "npm:npm"),
    Manager("yarn", r"yarn|yarnpkg", "npm:yarn"),
    Manager("pnpm", r"pnpm|pnpx", "npm:pnpm"),
    Manager("corepack", r"corepack", "npm:corepack"),
    Manager("gem", r"gem[\d.]*"),
    Manager("composer", r"composer"),
)
_FOLDERS = re.compile(r"(?:^|/)s?bin$")
# pip's own wheel, with which `python -m venv` and `python -m ensurepip` install it.
_BUNDLED = re.compile(r"(?:^|/)lib/python3[\d.]*/ensurepip/_bundled/.+\.whl$")

Entry = tuple["File", "Layer"]


def is_of_manager(package: Package) -> bool:
    """Whether a package is a package manager, or one of those that npm and its like bundle."""
    bundled = re.search(r"node_modules/(?:npm|yarn|pnpm|corepack)/", package.record)
    brings = f"{package.kind}:{package.name}"
    return bool(bundled) or any(manager.package == brings for manager in MANAGERS)


@check(
    "content.package-managers",
    "image",
    title="Nothing that installs packages is in the image",
    why="A package manager brings an intruder whatever he lacks, and its own holes; what runs "
    "read-only can install nothing anyway.",
    remedy="Copy what runs into a stage that never had one (`FROM scratch`), or remove it there.",
    reference="https://github.com/GoogleContainerTools/distroless; CIS Docker Benchmark 4.3",
)
def package_managers(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each package manager, by its programs or its package; what the contract asks for is
    none, and what it names in `absent` is told by content.forbidden."""
    programs = list(_programs(facts))
    for manager in MANAGERS:
        if _told(manager, terms):
            continue
        found = {p: e for p, e in programs if re.fullmatch(manager.programs, e[0].name)}
        for package, layer in facts.packages:
            # dpkg and apk keep the record of a package whose programs were deleted.
            if f"{package.kind}:{package.name}" == manager.package and package.kind in (
                "python",
                "npm",
            ):
                found[package.record] = (facts.files[package.record][0], layer)
        if found:
            yield _finding(f"{manager.name} is in the image", found)
    wheels = {p: e for p, e in facts.files.items() if _BUNDLED.search(p) and "/pip-" in p}
    if wheels and not _told(Manager("pip", "pip", "python:pip"), terms):
        yield _finding("ensurepip can install pip", wheels)


def _programs(facts: ImageFacts) -> Iterator[tuple[str, Entry]]:
    """What is executable in a folder of programs; a link that leads nowhere is not."""
    on_path = {file.path for file, _ in facts.programs().values()}
    for path, entry in facts.files.items():
        placed = path in on_path or _FOLDERS.search(path.rpartition("/")[0])
        if placed and entry[0].executable and facts.leads(path):
            yield path, entry


def _told(manager: Manager, terms: ServiceContract) -> bool:
    names = (*terms.absent, *terms.programs)
    return any(
        name == manager.package or re.fullmatch(manager.programs, name) is not None
        for name in names
    )


def _finding(message: str, found: dict[str, Entry]) -> Finding:
    first = min(found)
    layer = found[first][1]
    return Finding(
        f"{message}: {named(found)}",
        file=f"/{first}",
        layer=layer.diff_id,
        instruction=layer.instruction,
    )
