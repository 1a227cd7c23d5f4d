"""Signals in package.json: scripts, commands, entry points, identity."""

import re
from collections.abc import Iterator
from datetime import datetime

from worker.change import Change
from worker.risk.file_role import (
    INSTALL_SCRIPTS,
    install_scripts,
    is_test,
    paths_in,
    stem,
    table,
    texts,
)
from worker.risk.signal import Seen, signal

MANIFEST = "package.json"
_OTHER_SCRIPTS = ("prepare", "preprepare", "postprepare", "prepublish", "prepack", "dependencies")
# What a command of the same name in node_modules/.bin would stand before, in every npm script.
_KNOWN_COMMAND = re.compile(
    r"node|np[mx]|yarn|pnpm|bun|deno|corepack|git|(?:ba|z)?sh|cmd|powershell|pwsh|curl|wget|ssh|scp|"
    r"sudo|su|python3?|pip|ls|cat|cp|mv|rm|mkdir|chmod|env|make|gcc|cc|docker|kubectl|aws|gh|"
    r"tsc|eslint|jest|vite|webpack"
)
_NO_CODE = re.compile(r"\.(?!(?:[cm]?[jt]sx?|json|node|wasm|d\.[cm]?ts|css|vue|svelte)$)\w{1,8}$")


@signal(
    "scripts.lifecycle",
    0.8,
    title="An install script was added or changed, or binding.gyp, for which npm runs node-gyp",
    why="It runs on every machine that installs the package, before anybody calls it: the way in "
    "of eslint-scope, ua-parser-js, coa, rc and the Shai-Hulud worm.",
)
def lifecycle(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at preinstall, install, postinstall and what stands in for them."""
    before, after = install_scripts(change.old.manifest), install_scripts(change.new.manifest)
    for name in INSTALL_SCRIPTS:
        old, new = before.get(name), after.get(name)
        if new and not old:
            yield Seen(f"{name} added: {new}", MANIFEST)
        elif new and new != old:
            yield Seen(f"{name} changed: {new}", MANIFEST, share=0.75)
    for file in change.files:
        if file.path == "binding.gyp" and file.status == "added":
            yield Seen("binding.gyp added: npm builds it on installation", file.path)
        elif file.path == "binding.gyp" and file.status == "modified":
            yield Seen("binding.gyp changed: it may run commands", file.path, share=0.5)


@signal(
    "scripts.target",
    0.5,
    title="A file that an install script runs was added or changed",
    why="The script may have been harmless for years; what it runs is what matters.",
)
def target(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for changed files that the command of an install script names."""
    for name, command in install_scripts(change.new.manifest).items():
        paths = paths_in(command)
        for file in change.files:
            if file.status != "removed" and not paths.isdisjoint({file.path, stem(file.path)}):
                yield Seen(f"{name} runs it: {command}", file.path)


@signal(
    "scripts.other",
    0.1,
    title="A script that npm runs by itself, but not for a package from the registry, was changed",
    why="It runs where the package is installed from git, and where it is built.",
)
def other_scripts(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at prepare and its like."""
    before, after = table(change.old.manifest, "scripts"), table(change.new.manifest, "scripts")
    for name in _OTHER_SCRIPTS:
        if after.get(name) and after[name] != before.get(name):
            yield Seen(f"{name}: {after[name]}", MANIFEST)


@signal(
    "manifest.bin",
    0.7,
    title="A command was added; gravest under the name of a well-known program",
    why="Commands of dependencies come first on the PATH of npm scripts: one called `node` or "
    "`git` stands before the real one.",
)
def commands(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at `bin`."""
    before, after = _bin(change.old.manifest), _bin(change.new.manifest)
    for name, path in after.items():
        if name not in before:
            share = 1.0 if _KNOWN_COMMAND.fullmatch(name) and name != change.package else 0.25
            yield Seen(f"command {name} runs {path}", MANIFEST, share=share)
        elif before[name] != path:
            yield Seen(f"command {name} now runs {path}", MANIFEST, share=0.2)


@signal(
    "manifest.entry",
    0.4,
    title="The package starts in another file; gravest in a test or in what is no code",
    why="Code that lay unused becomes the code that runs.",
)
def entry(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at main, module, browser and exports."""
    for key in ("main", "module", "browser", "exports"):
        before = set(texts(change.old.manifest.get(key)))
        for path in texts(change.new.manifest.get(key)):
            if path not in before:
                odd = is_test(path.removeprefix("./")) or _NO_CODE.search(path[-12:])
                yield Seen(f"{key}: {path}", MANIFEST, share=1.0 if odd else 0.25)


@signal(
    "manifest.identity",
    0.6,
    title="package.json in the tarball names another package or version than was asked for",
    why="What the registry says of the package is then said of something else.",
)
def identity(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare name and version with what was asked for."""
    name, version = (str(change.new.manifest.get(key)) for key in ("name", "version"))
    if name != change.package:
        yield Seen(f"name is {name}, not {change.package}", MANIFEST)
    # npm takes v1.2.3 and 1.2.3+build for 1.2.3
    if version.removeprefix("v").partition("+")[0] != change.new.version.partition("+")[0]:
        yield Seen(f"version is {version}, not {change.new.version}", MANIFEST)


def _bin(manifest: object) -> dict[str, str]:
    """Return the commands by name; a text alone means one of the package's own name."""
    if not isinstance(manifest, dict):
        return {}
    found = manifest.get("bin")
    if isinstance(found, str):
        return {str(manifest.get("name", "")).rpartition("/")[2]: found}
    return table(manifest, "bin")
