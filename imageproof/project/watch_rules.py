"""The `develop: watch:` sections of a compose file, and the state of the files that they name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof.errors import ConfigurationError
from imageproof.project.ignore_patterns import IgnorePatterns

ACTION = "reading the `develop` sections"
ACTIONS = ("rebuild", "restart")
NOTHING = IgnorePatterns(())
# Files of git, editors and desktops. Compose ignores such files too.
TEMPORARY_FILES = IgnorePatterns(
    [
        *("**/.git", "**/*~", "**/.#*", "**/#*#", "**/.*.sw?", "**/4913", "**/.DS_Store"),
        *("**/.goutputstream-*", "**/*___jb_???___", "**/.~lock.*#"),
    ]
)
# Of each file: time of change, size, inode, mode. A file written again, or replaced, differs.
Snapshot = Mapping[str, tuple[int, int, int, int]]


@dataclass(frozen=True)
class WatchRule:
    """One entry of a `develop: watch:` section.

    Attributes:
        service: the compose service.
        action: what a change causes, one of ACTIONS.
        path: the watched file or folder.
        ignore: files below `path` that are not watched.
        include: if there are any, only these files below `path` are watched.
        context: folder of the service's build.
        dockerfile: the build's Dockerfile, which reaches it in any case.
        dockerignore: files of `context` that do not reach the build.
    """

    service: str
    action: str
    path: Path
    ignore: IgnorePatterns = NOTHING
    include: IgnorePatterns | None = None
    context: Path | None = None
    dockerfile: Path | None = None
    dockerignore: IgnorePatterns = NOTHING

    def snapshot(self) -> Snapshot:
        """Return the state of each watched file that exists."""
        return dict(self._states())

    def _states(self) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
        try:
            root = self.path.stat()
        except OSError:
            return
        if not stat.S_ISDIR(root.st_mode):
            yield str(self.path), _state(root)
            return
        folders = [str(self.path)]
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except OSError:  # removed, or not readable
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not self._ignores_folder(entry.path):
                        folders.append(entry.path)
                elif self._is_watched(entry.path):
                    try:
                        yield entry.path, _state(entry.stat(follow_symlinks=False))
                    except OSError:  # removed
                        continue

    def _ignores_folder(self, path: str) -> bool:
        relative = os.path.relpath(path, self.path)
        return (
            TEMPORARY_FILES.match(relative)
            or self.ignore.match_whole_folder(relative)
            or self._is_outside_build(path, self.dockerignore.match_whole_folder)
        )

    def _is_watched(self, path: str) -> bool:
        relative = os.path.relpath(path, self.path)
        return not (
            TEMPORARY_FILES.match(relative)
            or self.ignore.match(relative)
            or (self.include and not self.include.match(relative))
            or self._is_outside_build(path, self.dockerignore.match)
        )

    def _is_outside_build(self, path: str, is_ignored: Callable[[str], bool]) -> bool:
        if self.context is None or path == str(self.dockerfile):
            return False
        relative = os.path.relpath(path, self.context)
        return not relative.startswith("../") and is_ignored(relative)


def _state(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


def changed_paths(before: Snapshot, after: Snapshot) -> set[str]:
    """Return the files that were added, changed or removed."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def read_rules(model: Mapping[str, Any]) -> list[WatchRule]:
    """Return the rules of all services.

    Args:
        model: the compose model, as `docker compose config` prints it.

    Raises:
        ConfigurationError: there is no rule, or one that `./inv watch` cannot apply.
    """
    rules = [
        _rule(name, service, entry)
        for name, service in (model.get("services") or {}).items()
        for entry in (service.get("develop") or {}).get("watch") or ()
    ]
    if not rules:
        raise ConfigurationError(
            ACTION,
            "no service has a `develop: watch:` section",
            hint="add one to the compose file, or to the overlay that the contract names",
        )
    return rules


def _rule(service_name: str, service: Mapping[str, Any], entry: Mapping[str, Any]) -> WatchRule:
    action = entry.get("action")
    place = f"{service_name}, {entry.get('path')}"
    if action not in ACTIONS:
        raise ConfigurationError(
            ACTION,
            f"{place}: the action is {action!r}, `./inv watch` has {' and '.join(ACTIONS)}",
            hint="`rebuild` also works in containers with a read-only root; "
            "`docker compose watch` has the other actions",
        )
    build = service.get("build")
    if missing := [
        key for key in ("build", "image") if action == "rebuild" and not service.get(key)
    ]:
        raise ConfigurationError(
            ACTION,
            f"{place}: the action is rebuild, but the service has no `{missing[0]}:`",
            hint="a service that is rebuilt has `build:`, and `image:` for its tag",
        )
    context = dockerfile = None
    if build and Path(build["context"]).is_dir():  # else it is in a repository
        context = Path(build["context"])
        dockerfile = context / (build.get("dockerfile") or "Dockerfile")
    include = _words(entry.get("include"))
    return WatchRule(
        service=service_name,
        action=action,
        path=Path(entry["path"]),
        ignore=IgnorePatterns(_words(entry.get("ignore"))),
        include=IgnorePatterns(include) if include else None,
        context=context,
        dockerfile=dockerfile,
        dockerignore=_dockerignore(context, dockerfile) if context and dockerfile else NOTHING,
    )


def _words(value: str | Sequence[str] | None) -> Sequence[str]:
    return [value] if isinstance(value, str) else value or ()


def _dockerignore(context: Path, dockerfile: Path) -> IgnorePatterns:
    """Read the patterns of a build: those of its Dockerfile, else those of its context."""
    for path in (Path(f"{dockerfile}.dockerignore"), context / ".dockerignore"):
        if path.is_file():
            return IgnorePatterns(path.read_text(errors="replace").splitlines())
    return NOTHING
