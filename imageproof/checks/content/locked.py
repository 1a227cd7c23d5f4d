"""content.locked: every package is in a lock file or in the contract, in the same version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.package_managers import belongs_to_manager
from imageproof.checks.files import finding_at
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts, Layer, Package

# Folders of Debian's own Python and npm packages: `packages` of the contract covers these.
_DISTRIBUTION = re.compile(r"^usr/(?:lib/python3(?:\.\d+)?|share/nodejs)/")
SYSTEM_KINDS = ("dpkg", "apk")


@check(
    "content.locked",
    "image",
    title="Every package is in a lock file or in the contract, in the same version",
    why="A package that no lock file names was not reviewed, changes from build to build, and is "
    "missed when users of a vulnerable package are searched for.",
    remedy="Run `./inv lock`, and install only from the lock file. Or add the distribution's "
    "package to `packages` of the contract, once you know what needs it.",
    reference="PEP 503, PEP 440; https://slsa.dev/spec/v1.0/",
)
def locked(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for an unlocked package, another version, and a locked package that is missing.

    A locked package with a condition, such as an environment marker, may be missing.
    """
    locks = facts.project_files
    packages = (package for layer in facts.layers for package in layer.packages)
    system_packages = (package for package in packages if package.kind in SYSTEM_KINDS)
    system_files = {path for package in system_packages for path in package.owns}
    for package, layer in facts.packages:
        if _is_explained(package, contract, system_files):
            continue
        if package.kind == "python" and locks and locks.python is not None:
            versions = locks.python.get(normal_name(package.name), ())
            yield from _compare(package, layer, versions, contract.lock)
        elif package.kind == "npm" and locks and locks.npm is not None:
            versions = locks.npm.get(package.name, ())
            yield from _compare(package, layer, versions, contract.npm_lock)
        elif package.kind in SYSTEM_KINDS and contract.packages is not None:
            yield finding_at(
                package.record,
                layer,
                f"{package.name} {package.version} is not in `packages` of the contract",
                measured=package.version,
            )
    if locks and locks.python is not None:
        installed = {
            normal_name(package.name) for package, _ in facts.packages if package.kind == "python"
        }
        for name in sorted(locks.python.keys() - locks.conditional - installed):
            yield Finding(f"{name} is in {contract.lock} but not in the image", file=contract.lock)


def _is_explained(package: Package, contract: ServiceContract, system_files: set[str]) -> bool:
    """Return whether the package needs no lock file, or another check reports it."""
    if belongs_to_manager(package):
        return True
    forbidden = {normal_name(item) for item in contract.absent}
    if f"{package.kind}:{normal_name(package.name)}" in forbidden:
        return True
    if package.kind in SYSTEM_KINDS:
        return any(fnmatchcase(package.name, glob) for glob in contract.packages or ())
    from_distribution = package.record in system_files or _DISTRIBUTION.match(package.record)
    return bool(from_distribution) or "/_vendor/" in package.record  # setuptools' own copies


def _compare(
    package: Package, layer: Layer, locked_versions: tuple[str, ...], lock_file: str | None
) -> Iterator[Finding]:
    if not locked_versions:
        message = f"{package.name} {package.version} is not in {lock_file}"
        yield finding_at(package.record, layer, message, measured=package.version)
    elif _normal_version(package.version) not in map(_normal_version, locked_versions):
        expected = " or ".join(locked_versions)
        yield finding_at(
            package.record,
            layer,
            f"{package.name} is {package.version} in the image, {expected} in {lock_file}",
            measured=package.version,
            bound=expected,
        )


def _normal_version(version: str) -> str:
    """Return the same text for equal versions: 2024.01 and 2024.1, 1.0 and 1.0.0 (PEP 440)."""
    text = re.sub(r"(?<!\w)0+(?=\d)", "", version.lower())
    return re.sub(r"^(\d[\d.]*?)(?:\.0)+(?![\d.])", r"\1", text)
