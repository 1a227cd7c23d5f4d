"""Parts of an image that reach an end of life: the distribution, Python and Node.js.

The distribution's security team supports the Python and Node.js that it packages for as long as
the distribution. Any other Python or Node.js is supported by its own project.
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
# Versions of Debian packages that the distribution did not make: NodeSource, deadsnakes.
_THIRD_PARTY = re.compile(r"nodesource|\+(?:focal|jammy|noble|resolute)\d")
_TITLES = {"node": "Node.js", "rhel": "Red Hat Enterprise Linux", "amzn": "Amazon Linux"}


@dataclass(frozen=True)
class Component:
    """A distribution or a runtime of an image.

    Attributes:
        kind: The ID of os-release(5), `python` or `node`.
        version: Empty if it is unknown.
        file: The absolute path that shows the component.
        layer: The layer with that file.
    """

    kind: str
    version: str
    file: str
    layer: Layer

    @property
    def title(self) -> str:
        """Name and version as text."""
        name = _TITLES.get(self.kind, self.kind.capitalize())
        return f"{name} {self.version or 'of an unknown version'}"


def components(facts: ImageFacts) -> Iterator[Component]:
    """Yield the distribution, if there is an os-release, and each runtime it does not package."""
    distribution = _distribution(facts)
    if distribution:
        yield distribution
    for python in pythons(facts):
        prefix = python.file.strip("/").partition("lib")[0]
        if not (prefix == "usr/" and distribution and not _is_third_party(facts, "python")):
            yield python
    node = facts.programs.get("node")
    if node and not (_is_packaged(facts, "nodejs") and not _is_third_party(facts, "nodejs")):
        file, layer = node
        yield Component("node", _node_version(facts), f"/{file.path}", layer)


def pythons(facts: ImageFacts) -> Iterator[Component]:
    """Yield every Python that has a standard library. A virtual environment has none."""
    for path, (_, layer) in sorted(facts.files.items()):
        if match := _STDLIB.match(path):
            yield Component("python", match["version"], f"/{path}", layer)


def os_release(facts: ImageFacts) -> tuple[dict[str, str], str]:
    """Return the entries of os-release(5) and its path; both are empty if the image has none."""
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
    kind, version = entries.get("ID") or "linux", entries.get("VERSION_ID", "")
    return Component(kind, version, f"/{path}", facts.files[path][1])


def _is_packaged(facts: ImageFacts, name: str) -> bool:
    """Return whether the distribution has a package of this name, or one such as nodejs-20."""
    return any(
        package.kind in ("dpkg", "apk") and package.name.partition("-")[0] == name
        for package, _ in facts.packages
    )


def _is_third_party(facts: ImageFacts, name: str) -> bool:
    """Return whether a Debian package comes from a third party."""
    return any(
        package.kind == "dpkg"
        and package.name.startswith(name)
        and _THIRD_PARTY.search(package.version)
        for package, _ in facts.packages
    )


def _node_version(facts: ImageFacts) -> str:
    """Return the version of NodeSource's package, or the official images' NODE_VERSION, or ""."""
    for package, _ in facts.packages:
        if package.kind == "dpkg" and package.name == "nodejs":
            return package.version.partition("-")[0]
    return facts.environment.get("NODE_VERSION", "")
