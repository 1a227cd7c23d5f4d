"""Parts of an image with an end of life: the distribution, Python and Node.js.

A distribution supports the Python and Node.js that it packages until its own end of life. Every
other Python or Node.js has the end of life that its project sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts, Layer

OS_RELEASE = ("etc/os-release", "usr/lib/os-release")  # os-release(5), in this order
_STDLIB = re.compile(r"^(?P<prefix>.*?)/?lib(?:64)?/python(?P<version>\d\.\d+)/os\.py$")
# In the version of a Debian package: made by NodeSource or deadsnakes, not by the distribution.
_THIRD_PARTY = re.compile(r"nodesource|\+(?:focal|jammy|noble|resolute)\d")
_TITLES = {"node": "Node.js", "rhel": "Red Hat Enterprise Linux", "amzn": "Amazon Linux"}


@dataclass(frozen=True)
class Component:
    """A distribution or a runtime of an image.

    Attributes:
        kind: `python`, `node`, or the distribution's ID in os-release(5).
        version: Empty if it is unknown.
        path: The file that shows the component, without the leading slash.
        layer: The layer with that file.
    """

    kind: str
    version: str
    path: str
    layer: Layer

    @property
    def title(self) -> str:
        """Name and version for messages."""
        name = _TITLES.get(self.kind, self.kind.capitalize())
        return f"{name} {self.version or 'of an unknown version'}"


def components(facts: ImageFacts) -> Iterator[Component]:
    """Yield the distribution, and each Python and Node.js that it does not support."""
    distribution = _distribution(facts)
    if distribution:
        yield distribution
    for prefix, python in _pythons_by_prefix(facts):
        in_distribution = distribution is not None and prefix == "usr"
        if not in_distribution or _has_third_party_package(facts, "python"):
            yield python
    if "node" in facts.programs:
        file, layer = facts.programs["node"]
        if not _has_nodejs_package(facts) or _has_third_party_package(facts, "nodejs"):
            yield Component("node", _node_version(facts), file.path, layer)


def pythons(facts: ImageFacts) -> Iterator[Component]:
    """Yield each Python with a standard library, which a virtual environment lacks."""
    for _, python in _pythons_by_prefix(facts):
        yield python


def os_release(facts: ImageFacts) -> tuple[dict[str, str], str]:
    """Return the entries of os-release(5) and its path; both are empty if there is no such file."""
    for path in OS_RELEASE:
        text = facts.text(path)
        if text is not None:
            pairs = (line.partition("=") for line in text.splitlines())
            return {name: value.strip().strip("\"'") for name, _, value in pairs}, path
    return {}, ""


def _distribution(facts: ImageFacts) -> Component | None:
    entries, path = os_release(facts)
    if not path:
        return None
    _, layer = facts.files[path]
    return Component(entries.get("ID") or "linux", entries.get("VERSION_ID", ""), path, layer)


def _pythons_by_prefix(facts: ImageFacts) -> Iterator[tuple[str, Component]]:
    """Yield each Python with the folder that it is installed in, such as `usr/local`."""
    for path, (_, layer) in sorted(facts.files.items()):
        if match := _STDLIB.match(path):
            yield match["prefix"], Component("python", match["version"], path, layer)


def _has_nodejs_package(facts: ImageFacts) -> bool:
    """Return whether there is a system package of Node.js, such as nodejs or nodejs-20."""
    return any(
        package.kind in ("dpkg", "apk") and package.name.partition("-")[0] == "nodejs"
        for package, _ in facts.packages
    )


def _has_third_party_package(facts: ImageFacts, prefix: str) -> bool:
    """Return whether a Debian package whose name starts with `prefix` is from a third party."""
    return any(
        package.kind == "dpkg"
        and package.name.startswith(prefix)
        and _THIRD_PARTY.search(package.version)
        for package, _ in facts.packages
    )


def _node_version(facts: ImageFacts) -> str:
    """Return the version by the Debian package, else by the official images' NODE_VERSION."""
    for package, _ in facts.packages:
        if package.kind == "dpkg" and package.name == "nodejs":
            return package.version.partition("-")[0]
    return facts.environment.get("NODE_VERSION", "")
