"""Signals in what a package depends on."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from worker.change import Change
from worker.risk.file_role import table
from worker.risk.manifest import MANIFEST
from worker.risk.signal import Seen, signal

# What an installation brings along; npm installs peers too, from version 7 on.
_GROUPS = ("dependencies", "optionalDependencies", "peerDependencies")
_ELSEWHERE = re.compile(
    r"^(?:git\b|https?:|ssh:|github:|gitlab:|bitbucket:|gist:|[\w.-]+/[\w.-]+(?:#|$))"
)
_LOCAL = re.compile(r"^(?:file:|link:|portal:|\.{1,2}/|/)")
_ANY = re.compile(r"^(?:\*|x|X|>=?\s*[\d.]+|[A-Za-z]+|)$")


@signal(
    "dependencies.new",
    0.3,
    title="A dependency was added",
    why="Its code, and that of all that it needs, comes along and is not in this diff: "
    "event-stream brought flatmap-stream.",
)
def added(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for names that no group had before."""
    before = {name for group, name, _spec in _all(change.old.manifest)}
    for group, name, spec in _all(change.new.manifest):
        if name not in before:
            share = 0.5 if group == "peerDependencies" else 1.0
            yield Seen(f"{group}: {name} {spec}", MANIFEST, share=share)


@signal(
    "dependencies.url",
    0.6,
    title="A dependency comes from git, an address, a folder, or under another name",
    why="No registry keeps it: it may change without a new version, and has no integrity.",
)
def elsewhere(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at each specification that is new."""
    for group, name, spec in _new_specs(change):
        if _ELSEWHERE.match(spec):
            yield Seen(f"{group}: {name} from {spec}", MANIFEST)
        elif _LOCAL.match(spec) or spec.startswith("npm:"):
            yield Seen(f"{group}: {name} is {spec}", MANIFEST, share=0.5)


@signal(
    "dependencies.loose",
    0.15,
    title="A dependency accepts any version",
    why="Whatever is published next under that name will be installed.",
)
def loose(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at each specification that is new; peers are loose by nature."""
    for group, name, spec in _new_specs(change):
        if group != "peerDependencies" and _ANY.match(spec.strip()):
            yield Seen(f"{group}: {name} {spec or '(empty)'}", MANIFEST)


@signal(
    "dependencies.bundled",
    0.5,
    title="Dependencies come inside the tarball",
    why="They look like packages of the registry, and may be anything.",
)
def bundled(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for bundled names and for files in node_modules."""
    before, after = _bundle(change.old.manifest), _bundle(change.new.manifest)
    for name in sorted(after - before):
        yield Seen(f"bundled: {name}", MANIFEST)
    for file in change.files:
        if file.status == "added" and f"/{file.path}".find("/node_modules/") >= 0:
            yield Seen("a file in node_modules", file.path)


def _all(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for group in _GROUPS:
        for name, spec in table(manifest, group).items():
            yield group, name, spec


def _new_specs(change: Change) -> Iterator[tuple[str, str, str]]:
    before = {(name, spec) for _group, name, spec in _all(change.old.manifest)}
    for group, name, spec in _all(change.new.manifest):
        if (name, spec) not in before:
            yield group, name, spec


def _bundle(manifest: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for key in ("bundleDependencies", "bundledDependencies"):
        value = manifest.get(key)
        if value is True:
            found |= set(table(manifest, "dependencies"))
        elif isinstance(value, list):
            found |= {name for name in value if isinstance(name, str)}
    return found
