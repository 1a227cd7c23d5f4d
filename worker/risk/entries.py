"""Files that a package starts: entry points in package.json, and files that code loads."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from worker.change import FileChange
from worker.risk.manifest_fields import (
    install_scripts,
    nested_strings,
    paths_in,
    string_map,
)

# Conditions of `exports` with which Node never loads a file.
_NOT_LOADED = re.compile(r"types(?:@.{1,100})?|typings|style|sass|scss|less|css")
# The end of a literal: a file's name, or the part of it after a blank or a sign.
_NAME = r"[\w.@-]"
_QUOTED_NAME = re.compile(rf"(?<!{_NAME})({_NAME}{{1,200}}+)[\"'`]")
_JOINT = re.compile(r"[\"'`]\s{0,8}\+\s{0,8}[\"'`]")  # of concatenated literals
_NAME_END = re.compile(rf"{_NAME}+$")
_LOADS = re.compile(r"\b(?:require|import|from|_compile|resolve)\b")
# Code that can load or run a file whose name is somewhere else in it.
_LOADS_ANYTHING = re.compile(
    r"\b(?:require|import)\s{0,8}\(\s{0,8}[^\s\"'`)]|\b(?:createRequire|Worker|fork|execPath)\b|"
    r"\b(?:eval|Function|_load|_compile|runIn\w{1,20}|compileFunction)\s{0,8}\(|\bvm\b|"
    r"(?:spawn|exec)(?:File)?(?:Sync)?\s{0,8}\(|[\"'`]node\s"
)


@dataclass(frozen=True)
class Entries:
    """Entry points of a manifest."""

    paths: frozenset[str]  # as package.json writes them, without `./`
    folders: frozenset[str] = frozenset()  # all files in them are commands
    extensions: frozenset[str] = frozenset()  # of targets like `./lib/*.md`

    def __contains__(self, path: str) -> bool:
        """Return whether the package starts this file, by its full name."""
        return (
            path in self.paths
            or without_js_suffix(path) in self.paths
            or posixpath.splitext(path)[1] in self.extensions
            or any(path.startswith(f"{folder}/") for folder in self.folders)
        )


def without_js_suffix(path: str) -> str:
    """Return the path without .js, .cjs or .mjs, which Node lets programs leave out."""
    return re.sub(r"\.[cm]?js$", "", path)


def entry_points(manifest: Mapping[str, Any]) -> Entries:
    """Return the files that a manifest starts."""
    texts = list(_install_commands(manifest))
    for key in ("main", "module", "browser", "bin", "imports"):
        skip = _NOT_LOADED if key == "imports" else None
        texts += nested_strings(manifest.get(key), skip)
    texts += _exports(manifest.get("exports"))
    words = frozenset[str]().union(*map(paths_in, texts))
    paths = words | {posixpath.normpath(word) for word in words}
    folders = nested_strings(string_map(manifest, "directories").get("bin"))
    extensions = {posixpath.splitext(path)[1] for path in paths if "*" in path} - {""}
    return Entries(paths, frozenset(map(posixpath.normpath, folders)), frozenset(extensions))


def _install_commands(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the commands of an installation, and of the scripts that those name."""
    scripts = string_map(manifest, "scripts")
    pending = list(install_scripts(manifest).values())
    while pending:
        command = pending.pop()
        yield command
        for name in paths_in(command):
            if name in scripts:
                names = (f"pre{name}", name, f"post{name}")
                pending += [scripts.pop(script) for script in names if script in scripts]


def _exports(exports: object) -> Iterator[str]:
    """Yield the targets that Node can load, except those that importers call by their extension.

    `"./style.css": "./dist/style.css"` hides nothing: `import "package/style.css"` names it.
    """
    if not isinstance(exports, Mapping):
        yield from nested_strings(exports)
        return
    for key, value in exports.items():
        extension = posixpath.splitext(str(key))[1] if str(key).startswith(".") else ""
        if _NOT_LOADED.fullmatch(str(key)):
            continue
        for path in nested_strings(value, skip=_NOT_LOADED):
            if not extension or posixpath.splitext(path)[1] != extension:
                yield path


def loaded_names(
    files: Iterable[FileChange], names: frozenset[str], parsed: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Return which names of files the added lines of code load, or may load.

    Args:
        files: files of code.
        names: names without folders.
        parsed: names that `require` only parses, such as those of JSON files.
    """
    by_end: dict[str, set[str]] = {}
    for name in names | parsed:
        if end := _NAME_END.search(name[-200:]):
            by_end.setdefault(end.group(), set()).add(name)
    loaded: set[str] = set()
    for file in files if by_end else ():
        anything: bool | None = None
        for _, written_line in file.added_lines:
            line = _JOINT.sub("", written_line) if "+" in written_line else written_line
            for match in _QUOTED_NAME.finditer(line):
                if not (found := by_end.get(match.group(1))) or found <= loaded:
                    continue
                if anything is None:  # searched late, because most files name no such file
                    text = "\n".join(line for _, line in file.added_lines)
                    anything = _LOADS_ANYTHING.search(text) is not None
                if anything:
                    loaded |= found
                elif _LOADS.search(line[max(0, match.start() - 100) : match.start()]):
                    loaded |= found - parsed
    return frozenset(loaded)
