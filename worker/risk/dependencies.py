"""Signals in the dependencies of a package."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from worker.change import Change
from worker.risk.manifest import MANIFEST
from worker.risk.manifest_fields import string_map
from worker.risk.signal import Observation, signal

# Dependencies that npm installs with the package; peers since npm 7.
_GROUPS = ("dependencies", "optionalDependencies", "peerDependencies")
_REMOTE = re.compile(
    r"^(?:git\b|https?:|ssh:|github:|gitlab:|bitbucket:|gist:|[\w.-]+/[\w.-]+(?:#|$))"
)
_LOCAL = re.compile(r"^(?:file:|link:|portal:|\.{1,2}/|/)")
_ANY = re.compile(r"^(?:\*|x|X|>=?\s*[\d.]+|[A-Za-z]+|)$")


@signal(
    "dependencies.new",
    0.3,
    title="A dependency was added",
    why="This diff does not show its code, nor that of its own dependencies: event-stream added "
    "flatmap-stream.",
)
def new_dependencies(change: Change, _: datetime) -> Iterator[Observation]:
    """Find names that no group had before."""
    before = {name for group, name, _spec in _specs(change.old.manifest)}
    for group, name, spec in _specs(change.new.manifest):
        if name not in before:
            share = 0.5 if group == "peerDependencies" else 1.0
            yield Observation(f"{group}: {name} {spec}", MANIFEST, share=share)


@signal(
    "dependencies.url",
    0.6,
    title="A dependency comes from git, a URL or a folder, or under another name",
    why="No registry stores it: it may change without a new version and has no checksum.",
)
def outside_registry(change: Change, _: datetime) -> Iterator[Observation]:
    """Check each new specification."""
    for group, name, spec in _new_specs(change):
        if _REMOTE.match(spec):
            yield Observation(f"{group}: {name} from {spec}", MANIFEST)
        elif _LOCAL.match(spec) or spec.startswith("npm:"):
            yield Observation(f"{group}: {name} is {spec}", MANIFEST, share=0.5)


@signal(
    "dependencies.loose",
    0.15,
    title="A dependency accepts any version",
    why="npm installs any version that is published next under that name.",
)
def loose(change: Change, _: datetime) -> Iterator[Observation]:
    """Check each new specification, except peers: they are usually loose."""
    for group, name, spec in _new_specs(change):
        if group != "peerDependencies" and _ANY.match(spec.strip()):
            yield Observation(f"{group}: {name} {spec or '(empty)'}", MANIFEST)


@signal(
    "dependencies.bundled",
    0.5,
    title="The tarball contains dependencies",
    why="They look like packages from the registry, but may contain any code.",
)
def bundled(change: Change, _: datetime) -> Iterator[Observation]:
    """Find bundled names and files in node_modules."""
    before, after = _bundled_names(change.old.manifest), _bundled_names(change.new.manifest)
    for name in sorted(after - before):
        yield Observation(f"bundled: {name}", MANIFEST)
    for file in change.files:
        if file.status == "added" and "/node_modules/" in f"/{file.path}":
            yield Observation("a file in node_modules", file.path)


def _specs(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for group in _GROUPS:
        for name, spec in string_map(manifest, group).items():
            yield group, name, spec


def _new_specs(change: Change) -> Iterator[tuple[str, str, str]]:
    before = {(name, spec) for _group, name, spec in _specs(change.old.manifest)}
    for group, name, spec in _specs(change.new.manifest):
        if (name, spec) not in before:
            yield group, name, spec


def _bundled_names(manifest: Mapping[str, Any]) -> set[str]:
    names: set[str] = set()
    for key in ("bundleDependencies", "bundledDependencies"):
        value = manifest.get(key)
        if value is True:
            names |= set(string_map(manifest, "dependencies"))
        elif isinstance(value, list):
            names |= {name for name in value if isinstance(name, str)}
    return names
