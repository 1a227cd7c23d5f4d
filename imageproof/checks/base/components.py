"""Until when the parts of an image get security updates: data of a day, kept in end_of_life.toml.

A Python or Node that the distribution packages is supported with the distribution, whose security
team mends it; one from elsewhere as long as its own project says.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts, Layer

DATA = Path(__file__).with_name("end_of_life.toml")
RELEASES = ("etc/os-release", "usr/lib/os-release")  # os-release(5), in this order
_STDLIB = re.compile(r"^(?P<prefix>.*?)/?lib(?:64)?/python(?P<version>\d\.\d+)/os\.py$")
# Packages in a distribution's form that are not the distribution's: NodeSource, deadsnakes.
_FOREIGN = re.compile(r"nodesource|\+(?:focal|jammy|noble|resolute)\d")
_TITLES = {"node": "Node.js", "rhel": "Red Hat Enterprise Linux", "amzn": "Amazon Linux"}


@dataclass(frozen=True)
class Part:
    """A distribution or runtime of an image, and where it is seen."""

    kind: str
    version: str
    file: str
    layer: Layer

    @property
    def title(self) -> str:
        """As a person calls it."""
        name = _TITLES.get(self.kind, self.kind.capitalize())
        return f"{name} {self.version or 'of an unknown version'}"


@cache
def data() -> Mapping[str, Any]:
    """The file: its day, its sources, and the dates."""
    return tomllib.loads(DATA.read_text())


def rolls(part: Part) -> bool:
    """Whether a distribution has no versions: what was built today is of today."""
    return part.kind in data()["rolling"]


def last_day(part: Part) -> date | None:
    """The last day with updates, by as much of the version as is on record; None: it is not."""
    table = data().get(part.kind)
    numbers = part.version.split(".")
    for count in range(len(numbers), 0, -1):  # 3.22.1 is a 3.22, 9.4 a 9
        found = table.get(".".join(numbers[:count])) if isinstance(table, dict) else None
        if isinstance(found, date):
            return found
    return None


def parts(facts: ImageFacts) -> Iterator[Part]:
    """The distribution, where the image says one, and each runtime that it does not package."""
    distribution = _distribution(facts)
    if distribution:
        yield distribution
    for python in pythons(facts):
        prefix = python.file.strip("/").partition("lib")[0]
        if not (prefix == "usr/" and distribution and not _foreign(facts, "python")):
            yield python
    node = facts.programs().get("node")
    if node and not (_is_packaged(facts, "nodejs") and not _foreign(facts, "nodejs")):
        file, layer = node
        yield Part("node", _node(facts), f"/{file.path}", layer)


def pythons(facts: ImageFacts) -> Iterator[Part]:
    """Every Python by its standard library; a virtual environment has none of its own."""
    for path, (_, layer) in sorted(facts.files.items()):
        if match := _STDLIB.match(path):
            yield Part("python", match["version"], f"/{path}", layer)


def release(facts: ImageFacts) -> tuple[dict[str, str], str]:
    """What os-release says of the distribution, and the path of that file; nothing without one."""
    for path in RELEASES:
        text = facts.text(path)
        if text is not None:
            pairs = (line.partition("=") for line in text.splitlines())
            return {name: value.strip().strip("\"'") for name, _, value in pairs}, path
    return {}, ""


def _distribution(facts: ImageFacts) -> Part | None:
    said, path = release(facts)
    if not path:
        return None
    kind, version = said.get("ID") or "linux", said.get("VERSION_ID", "")
    return Part(kind, version, f"/{path}", facts.files[path][1])


def _is_packaged(facts: ImageFacts, name: str) -> bool:
    """Whether the distribution's records have a package of that name, or of one like nodejs-20."""
    return any(
        package.kind in ("dpkg", "apk") and package.name.partition("-")[0] == name
        for package, _ in facts.packages
    )


def _foreign(facts: ImageFacts, name: str) -> bool:
    """Whether somebody else than the distribution made the package."""
    return any(
        package.kind == "dpkg"
        and package.name.startswith(name)
        and _FOREIGN.search(package.version)
        for package, _ in facts.packages
    )


def _node(facts: ImageFacts) -> str:
    """The version of a Node.js that the distribution does not package: as NodeSource's package
    says, or the variable of the official images; nothing where neither does."""
    for package, _ in facts.packages:
        if package.kind == "dpkg" and package.name == "nodejs":
            return package.version.partition("-")[0]
    return facts.environment.get("NODE_VERSION", "")
