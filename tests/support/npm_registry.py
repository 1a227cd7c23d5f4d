"""An npm registry on the loopback, and what is published to it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Files = Mapping[str, bytes]
Answer = Callable[["Handler"], None]
MANIFEST = b'{"name": "sample", "version": "0.0.0"}\n'


@dataclass
class Registry:
    """What it answers, by path, and what it was asked: path and authorization of each request.

    Attributes:
        host: where it listens.
        base: the path before all others, as with a repository manager.
        closing: set when a test is over, for an answer that waits.
    """

    port: int
    base: str = ""
    host: str = "127.0.0.1"
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _documents: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Of the registry itself."""
        return f"http://{self.host}:{self.port}{self.base}"

    def publish(
        self,
        version: str,
        tarball: bytes | Files,
        *,
        package: str = "sample",
        dist: Mapping[str, Any] | None = None,
        published: str | None = None,
        **entry: Any,
    ) -> str:
        """Publish a version, as `latest`; returns the path of its tarball.

        Args:
            version: its number.
            tarball: itself, or the files that it holds, a manifest added to them.
            package: its name.
            dist: what the registry says of the tarball; None takes an entry of it away.
            published: when.
            entry: what else the registry says of the version.
        """
        if not isinstance(tarball, bytes):
            tarball = packed(tarball)
        path = f"{self.base}/{package}/-/{version}.tgz"
        self.answers[path] = reply(200, tarball)
        said = {"tarball": f"{self.address}/{package}/-/{version}.tgz", "integrity": sri(tarball)}
        said |= dist or {}
        document = self._documents.setdefault(
            package, {"name": package, "dist-tags": {}, "versions": {}, "time": {}}
        )
        document["dist-tags"]["latest"] = version
        document["time"][version] = published
        document["versions"][version] = entry | {
            "name": package,
            "version": version,
            "dist": {key: value for key, value in said.items() if value is not None},
        }
        self.tag(package)
        return path

    def tag(self, package: str = "sample", **tags: str) -> None:
        """Name versions by dist-tags."""
        document = self._documents[package]
        document["dist-tags"] |= tags
        path = f"{self.base}/{package.replace('/', '%2f')}"
        self.answers[path] = reply(200, json.dumps(document).encode())


class Handler(BaseHTTPRequestHandler):
    """Answers as its registry says; 404 to all else."""

    registry: Registry

    def do_GET(self) -> None:
        self.registry.asked.append((self.path, self.headers["authorization"]))
        with suppress(ConnectionError):  # the client may have had enough
            self.registry.answers.get(self.path, reply(404))(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(base: str = "", host: str = "127.0.0.1") -> Iterator[Registry]:
    """A registry without packages, until the end."""
    handler = type("Of", (Handler,), {})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.daemon_threads = True
        handler.registry = registry = Registry(server.server_port, base, host)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield registry
        finally:
            registry.closing.set()
            server.shutdown()
            thread.join()


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer so; the names of headers have _ for -."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def sri(content: bytes) -> str:
    """The checksum, as registries write it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def packed(files: Files) -> bytes:
    """An npm tarball of these files; a package.json is added where there is none."""
    members = [
        member(name, content) for name, content in ({"package.json": MANIFEST} | files).items()
    ]
    return archived(members)


def member(name: str, content: bytes = b"", /, **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One file, by its path inside the package."""
    info = tarfile.TarInfo(f"package/{name}")
    info.size = len(content)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, content


def archived(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tarball of these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(file.getvalue(), compresslevel=1, mtime=0)
