"""What is true of an image: its configuration, its history, and every file of every layer."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from imageproof.project.record import Record

Kind = Literal["file", "folder", "link", "hardlink", "other"]
PackageKind = Literal["dpkg", "apk", "python", "npm"]


@dataclass(frozen=True, slots=True)
class File:
    """One entry of a layer. `size` in bytes; `path` without the leading slash.

    `digest` is of a file's content (hexadecimal), `target` where a link leads, `xattrs` the names
    of its extended attributes (`security.capability` is a file capability, xattr(7)).
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
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def executable(self) -> bool:
        """Whether somebody may execute it, links included (what they name may be)."""
        return self.kind in ("link", "hardlink") or (
            self.kind == "file" and bool(self.mode & 0o111)
        )


@dataclass(frozen=True, slots=True)
class Package:
    """A package, as its own record in the image says.

    `record` is the path of that record, `owns` the paths that it brought (a folder, with all in
    it, ends with a slash); nothing: the record does not say. `source` is the distribution's source
    package where it has another name: security trackers go by that.
    """

    kind: PackageKind
    name: str
    version: str
    record: str
    owns: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class SecretCandidate:
    """A file that looks like a secret, or holds what looks like one; never its content."""

    path: str
    rule: str  # what it looks like: "private key", "npm token", "environment file"


@dataclass(frozen=True)
class Layer:
    """One layer: its identity, its size (bytes of the uncompressed tar), and what is in it.

    `texts` holds the few small files that checks read, such as etc/passwd; `anomalies` says what
    no honest builder writes: a path with `..`, a name with control characters.
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
        """Seconds until a failure is certain to be noticed."""
        return (self.interval + self.timeout) * self.retries


@dataclass(frozen=True)
class ImageFacts:
    """Everything that is known of one image, and what the repository has on record of it."""

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
    record: Record | None = None

    @property
    def size(self) -> int:
        """Bytes of all layers, uncompressed: the same on every engine and image store."""
        return sum(layer.size for layer in self.layers)

    @cached_property
    def files(self) -> dict[str, tuple[File, Layer]]:
        """What a container of it sees: path to file and the layer that brought it."""
        return self._merged[0]

    @cached_property
    def hidden(self) -> list[tuple[File, Layer, Layer]]:
        """What no container sees and every pull brings: file, its layer, the layer that hides it.

        A file that a later layer brings again is hidden as much as one that it removes.
        """
        return self._merged[1]

    @cached_property
    def packages(self) -> list[tuple[Package, Layer]]:
        """The packages that a container of it sees, in the order of kind and name."""
        seen = [
            (package, layer)
            for layer in self.layers
            for package in layer.packages
            if (entry := self.files.get(package.record)) and entry[1] is layer
        ]
        return sorted(seen, key=lambda found: (found[0].kind, found[0].name, found[0].record))

    def text(self, path: str) -> str | None:
        """The content of a small file that was kept; None where it is not there (or hidden)."""
        entry = self.files.get(path)
        return entry[1].texts.get(path) if entry else None

    @cached_property
    def _merged(self) -> tuple[dict[str, tuple[File, Layer]], list[tuple[File, Layer, Layer]]]:
        """Layers laid over one another (OCI image spec, layer.md): `.wh.x` hides x of the layers
        below, `.wh..wh..opq` everything of its folder below."""
        tree = _Tree()
        for layer in self.layers:
            for gone in whiteouts(layer):
                tree.hide(gone.rstrip("/"), layer, itself=not gone.endswith("/"))
            for file in layer.files:
                if not file.name.startswith(".wh."):
                    tree.add(file, layer)
        return tree.seen, tree.hidden

    def resolves(self, path: str) -> bool:
        """Whether a path is there, and what it links to as well (links of links, up to 40: path
        resolution as in path_resolution(7))."""
        for _ in range(40):
            entry = self.files.get(path)
            if entry is None or entry[0].kind != "link":
                return entry is not None
            target = entry[0].target
            folder = "" if target.startswith("/") else path.rpartition("/")[0]
            path = posixpath.normpath(f"/{folder}/{target}").lstrip("/")
        return False

    @cached_property
    def programs(self) -> dict[str, tuple[File, Layer]]:
        """What a shell would find by name: the executables of PATH, first folder first."""
        path = self.environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
        folders = [self._real(folder.strip("/")) for folder in path.split(":")]
        # A program in a usual place is there, whatever PATH says.
        folders += ["usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin"]
        order = {folder: number for number, folder in reversed(list(enumerate(folders)))}
        found = [
            (order[folder], entry)
            for path_, entry in self.files.items()
            if (folder := path_.rpartition("/")[0]) in order and entry[0].executable
        ]
        programs: dict[str, tuple[File, Layer]] = {}
        for _, entry in sorted(found, key=lambda item: item[0]):
            programs.setdefault(entry[0].name, entry)
        return programs

    def _real(self, folder: str) -> str:
        """A folder behind a link, as /bin is behind usr/bin."""
        entry = self.files.get(folder)
        if entry and entry[0].kind == "link":
            return entry[0].target.strip("/")
        return folder


class _Tree:
    """The file system that grows layer by layer, and what each layer hid of it."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[File, Layer]] = {}
        self.hidden: list[tuple[File, Layer, Layer]] = []
        self._inside: dict[str, set[str]] = {}  # folder: the paths right in it

    def add(self, file: File, layer: Layer) -> None:
        below = self.seen.get(file.path)
        if below and below[1] is not layer:
            if below[0].kind == "folder" and file.kind != "folder":
                self.hide(file.path, layer, itself=True)
            elif below[0].kind != "folder":
                self.hidden.append((*below, layer))
        self.seen[file.path] = (file, layer)
        path = file.path
        while path:  # a layer need not name the folders that a file lies in
            folder = path.rpartition("/")[0]
            inside = self._inside.setdefault(folder, set())
            if path in inside:
                break
            inside.add(path)
            path = folder

    def hide(self, gone: str, by: Layer, *, itself: bool) -> None:
        """Take a path away, with everything in it; what `by` itself brought stays."""
        paths = [gone] if itself else []
        folders = [gone]
        while folders:  # no recursion: how deep an image's folders go is its maker's choice
            within = self._inside.get(folders.pop(), set()) - {gone}
            paths += within
            folders += within
        for path in paths:
            entry = self.seen.get(path)
            if entry and entry[1] is not by:
                del self.seen[path]
                self.hidden.append((*entry, by))


def whiteouts(layer: Layer) -> Iterator[str]:
    """The lower layers' paths that a layer hides; with a slash behind: only what is in it."""
    for file in layer.files:
        folder = file.path.rpartition("/")[0]
        if file.name == ".wh..wh..opq":
            yield folder + "/"
        elif file.name.startswith(".wh."):
            yield f"{folder}/{file.name[4:]}".lstrip("/")
