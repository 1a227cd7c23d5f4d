"""What is true of an image: its configuration, its history, and every file of every layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Kind = Literal["file", "folder", "link", "hardlink", "other"]


@dataclass(frozen=True, slots=True)
class File:
    """One entry of a layer. `size` in bytes; `path` without the leading slash."""

    path: str
    kind: Kind
    size: int
    mode: int
    uid: int
    gid: int
    target: str = ""

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


@dataclass(frozen=True)
class Layer:
    """One layer: its identity, its size (bytes of the uncompressed tar), its files."""

    diff_id: str
    size: int
    files: tuple[File, ...]
    instruction: str = ""


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
    """Everything that is known of one image."""

    reference: str
    identity: str
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    history: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all layers, uncompressed: the same on every engine and image store."""
        return sum(layer.size for layer in self.layers)

    @cached_property
    def files(self) -> dict[str, tuple[File, Layer]]:
        """What a container of it sees: path to file and the layer that brought it.

        Whiteouts (OCI image spec, layer.md): `.wh.x` hides x of the layers below, `.wh..wh..opq`
        everything of its folder below.
        """
        seen: dict[str, tuple[File, Layer]] = {}
        for layer in self.layers:
            for gone in whiteouts(layer):
                _hide(seen, gone.rstrip("/"), itself=not gone.endswith("/"))
            for file in layer.files:
                if file.name.startswith(".wh."):
                    continue
                below = seen.get(file.path)
                if below and below[0].kind == "folder" and file.kind != "folder":
                    _hide(seen, file.path, itself=True)
                seen[file.path] = (file, layer)
        return seen

    def programs(self) -> dict[str, tuple[File, Layer]]:
        """What a shell would find by name: the executables of PATH, first folder first."""
        path = self.environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
        folders = list(dict.fromkeys(self._real(f.strip("/")) for f in path.split(":")))
        # A program in a usual place is there, whatever PATH says.
        folders += ["usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin"]
        found: dict[str, tuple[File, Layer]] = {}
        for folder in folders:
            for path_, entry in self.files.items():
                if path_.rpartition("/")[0] == folder and entry[0].executable:
                    found.setdefault(entry[0].name, entry)
        return found

    def _real(self, folder: str) -> str:
        """A folder behind a link, as /bin is behind usr/bin."""
        entry = self.files.get(folder)
        if entry and entry[0].kind == "link":
            return entry[0].target.strip("/")
        return folder


def _hide(seen: dict[str, tuple[File, Layer]], gone: str, *, itself: bool) -> None:
    prefix = f"{gone}/" if gone else ""
    for path in [p for p in seen if p.startswith(prefix) or (itself and p == gone)]:
        del seen[path]


def whiteouts(layer: Layer) -> Iterator[str]:
    """The lower layers' paths that a layer hides; with a slash behind: only what is in it."""
    for file in layer.files:
        folder = file.path.rpartition("/")[0]
        if file.name == ".wh..wh..opq":
            yield folder + "/"
        elif file.name.startswith(".wh."):
            yield f"{folder}/{file.name[4:]}".lstrip("/")


def from_inspect(
    reference: str,
    inspected: Mapping[str, Any],
    history: tuple[str, ...],
    layers: tuple[Layer, ...],
) -> ImageFacts:
    """Facts out of `docker image inspect` (the engine's API) and the layers that were read."""
    config = inspected.get("Config") or {}
    pairs = (item.partition("=") for item in config.get("Env") or ())
    return ImageFacts(
        reference=reference,
        identity=inspected.get("Id", ""),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment={name: value for name, _, value in pairs},
        labels=config.get("Labels") or {},
        ports=tuple(config.get("ExposedPorts") or ()),
        healthcheck=_healthcheck(config.get("Healthcheck")),
        history=history,
        layers=layers,
    )


def _healthcheck(config: Mapping[str, Any] | None) -> Healthcheck | None:
    """Docker's defaults where the image names no time: 30 s, 30 s, 3 (Dockerfile reference)."""
    test = tuple((config or {}).get("Test") or ())
    if not config or test in ((), ("NONE",)):
        return None
    return Healthcheck(
        test=test,
        interval=(config.get("Interval") or 30e9) / 1e9,
        timeout=(config.get("Timeout") or 30e9) / 1e9,
        retries=config.get("Retries") or 3,
    )


def instruction(created_by: str) -> str:
    """A history entry as a person wrote it: no shell in front, no BuildKit mark behind."""
    text = re.sub(r"^/bin/sh -c #\(nop\) +", "", created_by)
    text = re.sub(r"^(?:RUN )?/bin/sh -c ", "RUN ", text)
    return " ".join(text.removesuffix(" # buildkit").split())
