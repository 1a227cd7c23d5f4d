"""Whether each package of an image is one that somebody decided for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.package_managers import is_of_manager
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts, Layer, Package

# Where Debian's own Python and npm packages lie; the distribution's record explains them.
_DISTRIBUTION = re.compile(r"^usr/(?:lib/python3(?:\.\d+)?|share/nodejs)/")
SYSTEM = ("dpkg", "apk")


@check(
    "content.locked",
    "image",
    title="Every package is in the lock file or the contract, in that version",
    why="A package that no lock names was not reviewed, changes from build to build, and is found "
    "by no search for who uses it.",
    remedy="`./inv lock`, and install from the lock alone; or name the distribution's package in "
    "`packages` of the contract, once you know what needs it.",
    reference="PEP 503, PEP 440; https://slsa.dev/spec/v1.0/",
)
def locked(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for packages beyond the lock or the contract, for other versions, and for packages of
    the lock that are not there though it names no condition for them."""
    record = facts.record
    records = (p for layer in facts.layers for p in layer.packages if p.kind in SYSTEM)
    system = {path for package in records for path in package.owns}
    for package, layer in facts.packages:
        if _is_explained(package, terms, system):
            continue
        if package.kind == "python" and record and record.python is not None:
            versions = record.python.get(normal_name(package.name), ())
            yield from _compared(package, layer, versions, terms.lock)
        elif package.kind == "npm" and record and record.npm is not None:
            versions = record.npm.get(package.name, ())
            yield from _compared(package, layer, versions, terms.npm_lock)
        elif package.kind in SYSTEM and terms.packages is not None:
            yield _finding(package, layer, f"{package.name} is not among the contract's packages")
    if record and record.python is not None:
        here = {
            normal_name(package.name) for package, _ in facts.packages if package.kind == "python"
        }
        for name in sorted(record.python.keys() - record.conditional - here):
            yield Finding(f"{name} is in {terms.lock}, and not in the image", file=terms.lock)


def _is_explained(package: Package, terms: ServiceContract, system: set[str]) -> bool:
    """Whether somebody answers for it, or another check tells it: package managers, `absent`."""
    if is_of_manager(package):
        return True
    if f"{package.kind}:{normal_name(package.name)}" in {
        normal_name(item) for item in terms.absent
    }:
        return True
    if package.kind not in SYSTEM:
        own = package.record in system or bool(_DISTRIBUTION.match(package.record))
        return own or "/_vendor/" in package.record  # setuptools brings its own copies
    return any(fnmatchcase(package.name, glob) for glob in terms.packages or ())


def _compared(
    package: Package, layer: Layer, wanted: tuple[str, ...], lock: str | None
) -> Iterator[Finding]:
    if not wanted:
        yield _finding(package, layer, f"{package.name} {package.version} is not in {lock}")
    elif _plain(package.version) not in map(_plain, wanted):
        yield _finding(
            package,
            layer,
            f"{package.name} is {package.version} here, and {' or '.join(wanted)} in {lock}",
            bound=" or ".join(wanted),
        )


def _plain(version: str) -> str:
    """A version as it is compared: 2024.01 is 2024.1, and 1.0 is 1.0.0 (PEP 440)."""
    text = re.sub(r"(?<![\w])0+(?=\d)", "", version.lower())
    return re.sub(r"^(\d[\d.]*?)(?:\.0)+(?![\d.])", r"\1", text)


def _finding(package: Package, layer: Layer, message: str, bound: str | None = None) -> Finding:
    return Finding(
        message,
        file=f"/{package.record}",
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=package.version,
        bound=bound,
    )
