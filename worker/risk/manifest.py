"""Signals in package.json: scripts, commands, entry points, identity."""

import re
from collections.abc import Iterator
from datetime import datetime

from worker.change import Change
from worker.risk.entries import without_js_suffix
from worker.risk.file_role import is_test
from worker.risk.manifest_fields import (
    INSTALL_SCRIPTS,
    install_scripts,
    nested_strings,
    paths_in,
    string_map,
)
from worker.risk.signal import Observation, signal

MANIFEST = "package.json"
_OTHER_SCRIPTS = ("prepare", "preprepare", "postprepare", "prepublish", "prepack", "dependencies")
# Programs that a command of the same name in node_modules/.bin shadows in npm scripts.
_KNOWN_COMMAND = re.compile(
    r"node|np[mx]|yarn|pnpm|bun|deno|corepack|git|(?:ba|z)?sh|cmd|powershell|pwsh|curl|wget|ssh|scp|"
    r"sudo|su|python3?|pip|ls|cat|cp|mv|rm|mkdir|chmod|env|make|gcc|cc|docker|kubectl|aws|gh|"
    r"tsc|eslint|jest|vite|webpack"
)
_NOT_CODE = re.compile(r"\.(?!(?:[cm]?[jt]sx?|json|node|wasm|d\.[cm]?ts|css|vue|svelte)$)\w{1,8}$")


@signal(
    "scripts.lifecycle",
    0.8,
    title="An install script was added or changed, or binding.gyp, which makes npm run node-gyp",
    why="It runs on every machine that installs the package: eslint-scope, ua-parser-js, coa, rc "
    "and the Shai-Hulud worm used one.",
)
def lifecycle_scripts(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare preinstall, install, postinstall and binding.gyp."""
    before, after = install_scripts(change.old.manifest), install_scripts(change.new.manifest)
    for name in INSTALL_SCRIPTS:
        old, new = before.get(name), after.get(name)
        if new and not old:
            yield Observation(f"{name} added: {new}", MANIFEST)
        elif new and new != old:
            yield Observation(f"{name} changed: {new}", MANIFEST, share=0.75)
    for file in change.files:
        if file.path == "binding.gyp" and file.status == "added":
            yield Observation("binding.gyp added: npm builds it during installation", file.path)
        elif file.path == "binding.gyp" and file.status == "modified":
            yield Observation("binding.gyp changed: it may run commands", file.path, share=0.5)


@signal(
    "scripts.target",
    0.5,
    title="A file that an install script runs was added or changed",
    why="The script may have been harmless for years: the file that it runs matters.",
)
def target(change: Change, _: datetime) -> Iterator[Observation]:
    """Find changed files that an install script names."""
    for name, command in install_scripts(change.new.manifest).items():
        paths = paths_in(command)
        for file in change.files:
            if file.status != "removed" and not paths.isdisjoint(
                {file.path, without_js_suffix(file.path)}
            ):
                yield Observation(f"{name} runs it: {command}", file.path)


@signal(
    "scripts.other",
    0.1,
    title="A script changed that npm runs by itself, but not for a package from the registry",
    why="npm runs it when the package is built or installed from git.",
)
def other_scripts(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare prepare and similar scripts."""
    before, after = (
        string_map(change.old.manifest, "scripts"),
        string_map(change.new.manifest, "scripts"),
    )
    for name in _OTHER_SCRIPTS:
        if after.get(name) and after[name] != before.get(name):
            yield Observation(f"{name}: {after[name]}", MANIFEST)


@signal(
    "manifest.bin",
    0.7,
    title="A command was added; full weight if it has the name of a well-known program",
    why="Commands of dependencies come first on the PATH of npm scripts: one named `node` or `git` "
    "replaces the real program.",
)
def commands(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare `bin`."""
    before, after = _bin_entries(change.old.manifest), _bin_entries(change.new.manifest)
    for name, path in after.items():
        if name not in before:
            share = 1.0 if _KNOWN_COMMAND.fullmatch(name) and name != change.package else 0.25
            yield Observation(f"command {name} runs {path}", MANIFEST, share=share)
        elif before[name] != path:
            yield Observation(f"command {name} now runs {path}", MANIFEST, share=0.2)


@signal(
    "manifest.entry",
    0.4,
    title="The package starts in another file; full weight for a test or a file that is not code",
    why="Code that was unused before now runs.",
)
def entry(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare main, module, browser, exports and imports."""
    for key in ("main", "module", "browser", "exports", "imports"):
        before = set(nested_strings(change.old.manifest.get(key)))
        for path in nested_strings(change.new.manifest.get(key)):
            if path not in before:
                odd = is_test(path.removeprefix("./")) or _NOT_CODE.search(path[-12:])
                yield Observation(f"{key}: {path}", MANIFEST, share=1.0 if odd else 0.25)


@signal(
    "manifest.identity",
    0.6,
    title="package.json in the tarball names another package or version than requested",
    why="The registry's metadata then describes another package.",
)
def identity(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare name and version with the request."""
    name, version = (str(change.new.manifest.get(key)) for key in ("name", "version"))
    if name != change.package:
        yield Observation(f"name is {name}, expected {change.package}", MANIFEST)
    # npm treats v1.2.3 and 1.2.3+build as 1.2.3
    if version.removeprefix("v").partition("+")[0] != change.new.version.partition("+")[0]:
        yield Observation(f"version is {version}, expected {change.new.version}", MANIFEST)


def _bin_entries(manifest: object) -> dict[str, str]:
    """Return the commands by name; a plain string is a command with the package's name."""
    if not isinstance(manifest, dict):
        return {}
    value = manifest.get("bin")
    if isinstance(value, str):
        return {str(manifest.get("name", "")).rpartition("/")[2]: value}
    return string_map(manifest, "bin")
