"""npm registry on the loopback interface, and tarballs to publish in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
Reply = Callable[["Handler"], None]
"""Function that sends a reply to a request."""
MANIFEST = b'{"name": "sample", "version": "0.0.0"}\n'


@dataclass
class Registry:
    """Registry: its replies and the requests so far.

    Attributes:
        base: first part of each path, as with a repository manager.
        host: address that it listens on.
        scheme: http, or https with `serving(certificate=...)`.
        replies: replies by path; to other paths, it replies 404.
        requests: path and authorization header of each request.
        closing: set at the end, for replies that wait.
    """

    port: int
    base: str = ""
    host: str = "127.0.0.1"
    scheme: str = "http"
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _documents: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.base}"

    def publish(
        self,
        version: str,
        content: bytes | Files,
        *,
        package: str = "sample",
        dist: Mapping[str, Any] | None = None,
        published: str | None = None,
        **entry: Any,
    ) -> str:
        """Publish a version as `latest` and return the path of its tarball.

        Args:
            version: its number.
            content: the tarball, or its files; a manifest is added if there is none.
            package: the package's name.
            dist: changes to the tarball's metadata; None removes a field.
            published: time of publication.
            **entry: other metadata of the version.
        """
        tarball = content if isinstance(content, bytes) else npm_tarball(content)
        path = f"{self.base}/{package}/-/{version}.tgz"
        self.replies[path] = make_reply(200, tarball)
        defaults = {
            "tarball": f"{self.address}/{package}/-/{version}.tgz",
            "integrity": integrity(tarball),
        }
        dist_fields = {**defaults, **(dist or {})}
        document = self._documents.setdefault(
            package, {"name": package, "dist-tags": {}, "versions": {}, "time": {}}
        )
        document["dist-tags"]["latest"] = version
        document["time"][version] = published
        document["versions"][version] = entry | {
            "name": package,
            "version": version,
            "dist": {key: value for key, value in dist_fields.items() if value is not None},
        }
        self.tag(package)
        return path

    def tag(self, package: str = "sample", **tags: str) -> None:
        """Set dist-tags."""
        document = self._documents[package]
        document["dist-tags"] |= tags
        path = f"{self.base}/{package.replace('/', '%2f')}"
        self.replies[path] = make_reply(200, json.dumps(document).encode())


class Handler(BaseHTTPRequestHandler):
    """Request handler: sends the registry's reply for the path, or 404."""

    registry: Registry

    def do_GET(self) -> None:
        self.registry.requests.append((self.path, self.headers["authorization"]))
        with suppress(ConnectionError):  # the client may close early
            self.registry.replies.get(self.path, make_reply(404))(self)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving(
    base: str = "", host: str = "127.0.0.1", certificate: Path | None = None
) -> Iterator[Registry]:
    """Run an empty registry; with a certificate (PEM, with its key) behind TLS."""
    handler = type("RegistryHandler", (Handler,), {})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.daemon_threads = True
        scheme = "https" if certificate else "http"
        handler.registry = registry = Registry(server.server_port, base, host, scheme)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield registry
        finally:
            registry.closing.set()
            server.shutdown()
            thread.join()


def make_reply(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Return a reply with this status, body and headers (with _ for -)."""

    def reply(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def integrity(content: bytes) -> str:
    """Return the checksum in the form that registries use (SRI)."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def npm_tarball(files: Files) -> bytes:
    """Return an npm tarball of these files; add a package.json if there is none."""
    files = {"package.json": MANIFEST, **files}
    return gzipped_tar(tar_member(name, content) for name, content in files.items())


def tar_member(name: str, content: bytes = b"", /, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return a tar member for a file, by its path in the package."""
    info = tarfile.TarInfo(f"package/{name}")
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def gzipped_tar(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    """Return a gzipped tarball of these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(file.getvalue(), compresslevel=1, mtime=0)


def certificate(folder: Path, name: str = "127.0.0.1") -> Path:
    """Create a certificate that signs itself, with its key, in one file; return the file."""
    file = folder / f"{name}.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x"
    )
    extension = ["-addext", f"subjectAltName={'IP' if name[0].isdigit() else 'DNS'}:{name}"]
    files = ["-keyout", str(file), "-out", f"{file}.crt"]
    run = subprocess.run([*command.split(), *extension, *files], capture_output=True)
    assert run.returncode == 0, run.stderr
    with file.open("a") as joined:
        joined.write(Path(f"{file}.crt").read_text())
    return file
