"""Files that lint and verify read, and their content: inputs of the cached results of `up`."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imageproof.contract import Contract

MAX_FOLDER_FILES = 5_000  # of a submodule, or of a folder behind a link
_FILE_KEYS = ("file", "env_file", "label_file", "path")  # of a compose file


class UnknownInputs(Exception):
    """Not every input of a step can be known, so its result is not cached."""


def named_files(contract: Contract, models: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Return the files that the contract and the compose models name, and Dockerfiles by its globs.

    Git may ignore them, or they may be outside the project. Some do not exist. A folder, such as
    one that is watched, is not among them.

    Raises:
        UnknownInputs: a glob is not relative.
    """
    return [path for path in _named_paths(contract, models) if not path.is_dir()]


def _named_paths(contract: Contract, models: Iterable[Mapping[str, Any]]) -> Iterator[Path]:
    root = contract.root
    names = [contract.compose, contract.stack, contract.watch, contract.env_example]
    names += [contract.baseline, ".dockerignore", ".hadolint.yaml", ".hadolint.yml"]
    for image in contract.images.values():
        names += [image.lock, image.npm_lock]
    yield from (root / name for name in names if name)
    for pattern in contract.dockerfiles:
        try:
            yield from root.glob(pattern)
        except (ValueError, NotImplementedError) as error:
            raise UnknownInputs(pattern) from error
    for folder in {root, contract.compose_file.parent}:
        for model in models:
            yield from (folder / name for name in _named_in(model))


def _named_in(node: Any) -> Iterator[str]:
    """Yield the names of files in a part of a compose model."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _named_in(item)
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        if key in _FILE_KEYS:
            yield from (v for v in (value if isinstance(value, list) else [value]) if _is_name(v))
        yield from _named_in(value)
    if node.get("type") == "bind" and _is_name(node.get("source")):
        yield node["source"]
    if "build" in node:
        build = node["build"]
        keys = build if isinstance(build, Mapping) else {"context": build}
        context = keys.get("context") or "."
        dockerfile = str(Path(context, keys.get("dockerfile") or "Dockerfile"))
        yield from (dockerfile, f"{dockerfile}.dockerignore", f"{context}/.dockerignore")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def require_known_settings(contract: Contract, names: Iterable[str]) -> None:
    """Raise UnknownInputs if a settings class may come from elsewhere than these files.

    `names`: files and folders whose content is an input, relative to the root.
    """
    known = set(names)
    for image in contract.images.values():
        if image.environment is None:
            continue
        if os.environ.get("PYTHONPATH"):
            raise UnknownInputs("PYTHONPATH")
        module = image.environment.settings.partition(":")[0].replace(".", "/")
        candidates = [Path(f"{module}.py"), Path(module, "__init__.py")]
        if not any(known & {str(c), *map(str, c.parents)} for c in candidates):
            raise UnknownInputs(module)


def describe_files(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each file's name with its link target, mode and the digest of its content.

    Links are followed, and of a folder (a submodule) each file is described. An unreadable or
    missing file has the error's number.

    Raises:
        UnknownInputs: a folder has too many files, or links to folders.
    """
    for name in names:
        path = root / name
        try:
            if path.is_symlink():
                yield name, f"link {path.readlink()}"
            if path.is_dir():
                yield from ((name, f"{file}") for file in _describe_folder(path))
            else:
                yield name, _describe(path)
        except OSError as error:
            yield name, f"unreadable {error.errno}"


def _describe(path: Path) -> str:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # a pipe or a device may have no end
        return f"{mode:o}"
    with path.open("rb") as file:
        return f"{mode:o} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _describe_folder(folder: Path) -> Iterator[tuple[str, str]]:
    count = 0
    for current, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        if any(Path(current, name).is_symlink() for name in folders):
            raise UnknownInputs(current)
        count += len(files)
        if count > MAX_FOLDER_FILES:
            raise UnknownInputs(str(folder))
        relative = [str(Path(current, name).relative_to(folder)) for name in sorted(files)]
        yield from describe_files(folder, relative)
