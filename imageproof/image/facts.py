"""Facts of an image: its configuration, its history, and every file of every layer."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from imageproof.project.project_files import ProjectFiles

FileKind = Literal["file", "folder", "link", "hardlink", "other"]
PackageKind = Literal["dpkg", "apk", "python", "npm"]
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
# Searched after PATH: a program in these folders can be started by its path, whatever PATH says.
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin")
MAX_LINKS = 40  # path_resolution(7)


@dataclass(frozen=True, slots=True)
class File:
    """Entry of a layer. `size` in bytes; `path` without the leading slash.

    `digest`: first half of the SHA-256 of a file's content, hexadecimal. `target`: target of a link
    or hard link. `xattrs`: names of extended attributes (`security.capability` is a file
    capability, xattr(7)).
    """

    path: str
    kind: FileKind
    size: int
    mode: int
    uid: int
    gid: int
    target: str = ""
    digest: str = ""
    xattrs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def executable(self) -> bool:
        """Whether any user may execute it. Links count, since their target may be executable."""
        return self.kind in ("link", "hardlink") or (
            self.kind == "file" and bool(self.mode & 0o111)
        )


@dataclass(frozen=True, slots=True)
class Package:
    """Installed package, from its record in the image.

    `record`: path of the record. `owns`: paths that the package installed, a whole folder with a
    trailing slash; empty if the record does not list them. `source`: name of the distribution's
    source package, which security trackers use; empty if it has the same name.
    """

    kind: PackageKind
    name: str
    version: str
    record: str
    owns: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class SecretCandidate:
    """File that looks like a secret or contains one; its content is never stored."""

    path: str
    rule: str  # such as "private key", "npm token", "environment file"


@dataclass(frozen=True)
class Layer:
    """Layer of an image; `size` in bytes of the uncompressed tar.

    `texts`: small files that checks read, such as etc/passwd. `anomalies`: entries that no honest
    builder writes, such as a path with `..` or a name with control characters. `unsearched`: why
    some files were not searched for secrets, "" if all were.
    """

    diff_id: str
    size: int
    files: tuple[File, ...]
    instruction: str = ""
    packages: tuple[Package, ...] = ()
    secret_candidates: tuple[SecretCandidate, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    anomalies: tuple[str, ...] = ()
    unsearched: str = ""


class FileInLayer(NamedTuple):
    """File that a container sees, and the layer that brought it."""

    file: File
    layer: Layer


class HiddenFile(NamedTuple):
    """File that is pulled but that no container sees, its layer, and the layer that hides it."""

    file: File
    layer: Layer
    hidden_by: Layer


@dataclass(frozen=True)
class Healthcheck:
    """HEALTHCHECK of the image's configuration; times in seconds."""

    test: tuple[str, ...]
    interval: float
    timeout: float
    retries: int

    @property
    def notices_within(self) -> float:
        """Seconds until a failure is noticed, at worst."""
        return (self.interval + self.timeout) * self.retries


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one image, and the project's files about it.

    `reference`: name by which the image was read. `identity`: its id in the engine, or the digest
    of its configuration.
    """

    reference: str
    identity: str
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    workdir: str = ""
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    history: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    project_files: ProjectFiles | None = None

    @property
    def size(self) -> int:
        """Bytes of all layers, uncompressed: the same on every engine and image store."""
        return sum(layer.size for layer in self.layers)

    @cached_property
    def files(self) -> dict[str, FileInLayer]:
        """Files that a container sees, by path."""
        return self._merged.visible

    @cached_property
    def hidden(self) -> list[HiddenFile]:
        """Files that a later layer hides by removing them, or by adding them again."""
        return self._merged.hidden

    @cached_property
    def packages(self) -> list[tuple[Package, Layer]]:
        """Packages that a container sees, sorted by kind and name."""
        visible = [
            (package, layer)
            for layer in self.layers
            for package in layer.packages
            if (record := self.files.get(package.record)) and record.layer is layer
        ]
        return sorted(visible, key=lambda pair: (pair[0].kind, pair[0].name, pair[0].record))

    @cached_property
    def programs(self) -> dict[str, FileInLayer]:
        """Executables by name, as a shell finds them: the first in the order of PATH."""
        search_path = self.environment.get("PATH", DEFAULT_PATH)
        folders = [self._follow(folder.strip("/")) for folder in search_path.split(":")]
        folders += PROGRAM_FOLDERS
        rank = {folder: number for number, folder in reversed(list(enumerate(folders)))}
        executables = [
            (rank[folder], entry)
            for path, entry in self.files.items()
            if (folder := path.rpartition("/")[0]) in rank and entry.file.executable
        ]
        programs: dict[str, FileInLayer] = {}
        for _, entry in sorted(executables, key=lambda ranked: ranked[0]):
            programs.setdefault(entry.file.name, entry)
        return programs

    def text(self, path: str) -> str | None:
        """Return the content of a small file (`Layer.texts`); None if it is missing or hidden."""
        entry = self.files.get(path)
        return entry.layer.texts.get(path) if entry else None

    def resolves(self, path: str) -> bool:
        """Return whether a path exists, and its target too if it is a link."""
        for _ in range(MAX_LINKS):
            entry = self.files.get(path)
            if entry is None or entry.file.kind != "link":
                return entry is not None
            target = entry.file.target
            folder = "" if target.startswith("/") else path.rpartition("/")[0]
            path = posixpath.normpath(f"/{folder}/{target}").lstrip("/")
        return False

    @cached_property
    def _merged(self) -> _Tree:
        """All layers, one on the other."""
        tree = _Tree()
        for layer in self.layers:
            tree.add_layer(layer)
        return tree

    def _follow(self, folder: str) -> str:
        """Return the target if a folder is a link, such as bin to usr/bin."""
        entry = self.files.get(folder)
        if entry and entry.file.kind == "link":
            return entry.file.target.strip("/")
        return folder


class _Tree:
    """File system to which layers are added, and the files that they hide.

    Whiteouts (OCI image spec, layer.md): `.wh.x` hides x of the lower layers, `.wh..wh..opq` all
    that lower layers have in its folder; so does the invalid `.wh.`.
    """

    def __init__(self) -> None:
        self.visible: dict[str, FileInLayer] = {}
        self.hidden: list[HiddenFile] = []
        # Folder: paths directly in it. A dict as an ordered set: the same order in each run.
        self._children: dict[str, dict[str, None]] = {}

    def add_layer(self, layer: Layer) -> None:
        """Hide the files that the layer's whiteouts name, then add its own files."""
        for file in layer.files:
            folder = file.path.rpartition("/")[0]
            if file.name in (".wh..wh..opq", ".wh."):
                self._hide(folder, layer, only_content=True)
            elif file.name.startswith(".wh."):
                removed = f"{folder}/{file.name.removeprefix('.wh.')}".lstrip("/")
                self._hide(removed, layer)
        for file in layer.files:
            if not file.name.startswith(".wh."):
                self._add(file, layer)

    def _add(self, file: File, layer: Layer) -> None:
        """Add a file; it hides the file of the same path in a lower layer."""
        below = self.visible.get(file.path)
        if below and below.layer is not layer:
            if below.file.kind == "folder" and file.kind != "folder":
                self._hide(file.path, layer)
            elif below.file.kind != "folder":
                self.hidden.append(HiddenFile(*below, layer))
        self.visible[file.path] = FileInLayer(file, layer)
        path = file.path
        while path:  # a layer need not list a file's folders
            folder = path.rpartition("/")[0]
            children = self._children.setdefault(folder, {})
            if path in children:
                break
            children[path] = None
            path = folder

    def _hide(self, root: str, by: Layer, *, only_content: bool = False) -> None:
        """Hide a file, or a folder and its content; files of the layer `by` stay."""
        paths = [] if only_content else [root]
        folders = [root]
        while folders:  # no recursion: an untrusted image may nest folders deeply
            children = [path for path in self._children.get(folders.pop(), ()) if path != root]
            paths += children
            folders += children
        for path in paths:
            entry = self.visible.get(path)
            if entry and entry.layer is not by:
                del self.visible[path]
                self.hidden.append(HiddenFile(*entry, by))
