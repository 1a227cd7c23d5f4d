"""Facts of an image: its configuration, its history, and every file of every layer."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from imageproof.project.project_files import ProjectFiles

Kind = Literal["file", "folder", "link", "hardlink", "other"]
PackageKind = Literal["dpkg", "apk", "python", "npm"]
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
# Searched after PATH: a program there can be started, whatever PATH says.
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin")
MAX_LINKS = 40  # path_resolution(7)


@dataclass(frozen=True, slots=True)
class File:
    """Entry of a layer. `size` in bytes; `path` without the leading slash.

    `digest`: SHA-256 of a file's content (the first half, hexadecimal). `target`: where a link
    points. `xattrs`: names of extended attributes (`security.capability` is a file capability,
    xattr(7)).
    """

    path: str
    kind: Kind
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
        """Whether any user may execute it; a link may point to an executable."""
        return self.kind in ("link", "hardlink") or (
            self.kind == "file" and bool(self.mode & 0o111)
        )


@dataclass(frozen=True, slots=True)
class Package:
    """Installed package, from its record in the image.

    `record`: path of the record. `owns`: paths that the package installed, a whole folder with a
    trailing slash; empty if the record does not list them. `source`: the distribution's source
    package if it has another name; security trackers use it.
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
    builder writes, such as a path with `..` or a name with control characters.
    """

    diff_id: str
    size: int
    files: tuple[File, ...]
    instruction: str = ""
    packages: tuple[Package, ...] = ()
    secret_candidates: tuple[SecretCandidate, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    anomalies: tuple[str, ...] = ()


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
    """Facts of one image, and the repository's records about it."""

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
    def files(self) -> dict[str, tuple[File, Layer]]:
        """Files that a container sees: path to file and its layer."""
        return self._merged[0]

    @cached_property
    def hidden(self) -> list[tuple[File, Layer, Layer]]:
        """Files that are pulled but that no container sees: file, its layer, the hiding layer.

        A later layer hides a file by removing it, or by adding it again.
        """
        return self._merged[1]

    @cached_property
    def packages(self) -> list[tuple[Package, Layer]]:
        """Packages that a container sees, sorted by kind and name."""
        visible = [
            (package, layer)
            for layer in self.layers
            for package in layer.packages
            if (entry := self.files.get(package.record)) and entry[1] is layer
        ]
        return sorted(visible, key=lambda item: (item[0].kind, item[0].name, item[0].record))

    @cached_property
    def programs(self) -> dict[str, tuple[File, Layer]]:
        """Executables that a shell finds by name, in the order of PATH."""
        path = self.environment.get("PATH", DEFAULT_PATH)
        folders = [self._follow(folder.strip("/")) for folder in path.split(":")]
        folders += PROGRAM_FOLDERS
        order = {folder: number for number, folder in reversed(list(enumerate(folders)))}
        candidates = [
            (order[folder], entry)
            for path_, entry in self.files.items()
            if (folder := path_.rpartition("/")[0]) in order and entry[0].executable
        ]
        programs: dict[str, tuple[File, Layer]] = {}
        for _, entry in sorted(candidates, key=lambda item: item[0]):
            programs.setdefault(entry[0].name, entry)
        return programs

    def text(self, path: str) -> str | None:
        """Return the content of a small file (`Layer.texts`); None if it is missing or hidden."""
        entry = self.files.get(path)
        return entry[1].texts.get(path) if entry else None

    def resolves(self, path: str) -> bool:
        """Return whether a path exists, and its target too if it is a link."""
        for _ in range(MAX_LINKS):
            entry = self.files.get(path)
            if entry is None or entry[0].kind != "link":
                return entry is not None
            target = entry[0].target
            folder = "" if target.startswith("/") else path.rpartition("/")[0]
            path = posixpath.normpath(f"/{folder}/{target}").lstrip("/")
        return False

    @cached_property
    def _merged(self) -> tuple[dict[str, tuple[File, Layer]], list[tuple[File, Layer, Layer]]]:
        """Merge the layers (OCI image spec, layer.md): `.wh.x` hides x of the layers below,
        `.wh..wh..opq` hides everything below in its folder."""
        tree = _Tree()
        for layer in self.layers:
            for path in whiteouts(layer):
                tree.hide(path.rstrip("/"), layer, itself=not path.endswith("/"))
            for file in layer.files:
                if not file.name.startswith(".wh."):
                    tree.add(file, layer)
        return tree.visible, tree.hidden

    def _follow(self, folder: str) -> str:
        """Return the target if a folder is a link, such as bin to usr/bin."""
        entry = self.files.get(folder)
        if entry and entry[0].kind == "link":
            return entry[0].target.strip("/")
        return folder


class _Tree:
    """File system to which layers are added, and the files that they hide."""

    def __init__(self) -> None:
        self.visible: dict[str, tuple[File, Layer]] = {}
        self.hidden: list[tuple[File, Layer, Layer]] = []
        self._children: dict[str, set[str]] = {}  # folder: paths directly in it

    def add(self, file: File, layer: Layer) -> None:
        """Add a file; it hides the file of the same path in a lower layer."""
        below = self.visible.get(file.path)
        if below and below[1] is not layer:
            if below[0].kind == "folder" and file.kind != "folder":
                self.hide(file.path, layer, itself=True)
            elif below[0].kind != "folder":
                self.hidden.append((*below, layer))
        self.visible[file.path] = (file, layer)
        path = file.path
        while path:  # a layer need not list a file's folders
            folder = path.rpartition("/")[0]
            children = self._children.setdefault(folder, set())
            if path in children:
                break
            children.add(path)
            path = folder

    def hide(self, root: str, by: Layer, *, itself: bool) -> None:
        """Remove everything below `root`, and `itself`; files of the layer `by` stay."""
        paths = [root] if itself else []
        folders = [root]
        while folders:  # no recursion: an untrusted image may nest folders deeply
            children = self._children.get(folders.pop(), set()) - {root}
            paths += children
            folders += children
        for path in paths:
            entry = self.visible.get(path)
            if entry and entry[1] is not by:
                del self.visible[path]
                self.hidden.append((*entry, by))


def whiteouts(layer: Layer) -> Iterator[str]:
    """Yield the paths that a layer hides; with a trailing slash: only the folder's content."""
    for file in layer.files:
        folder = file.path.rpartition("/")[0]
        if file.name == ".wh..wh..opq":
            yield folder + "/"
        elif file.name.startswith(".wh."):
            yield f"{folder}/{file.name[4:]}".lstrip("/")
