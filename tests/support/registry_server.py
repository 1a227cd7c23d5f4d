"""A registry in this process, for tests: it keeps what it is given, and misbehaves as told."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.archives import config, digest

OCI = "application/vnd.oci.image."
MANIFEST, INDEX = f"{OCI}manifest.v1+json", f"{OCI}index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest."
SCHEMA2, LIST = f"{DOCKER}v2+json", f"{DOCKER}list.v2+json"
TOKEN, USER, PASSWORD = "token-of-a-test", "somebody", "word-of-a-test"


@dataclass
class Told:
    """What came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    authorization: str | None
    body: bytes


@dataclass
class Fake:
    """What the registry holds, and how it behaves."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    auth: str = ""  # basic or bearer
    realm: str = ""
    told: list[Told] = field(default_factory=list)
    # Asked first; what it returns True for, it has answered itself.
    before: Callable[[Any, Told], bool] = lambda *_: False
    mounts: bool = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def seen(self, word: str) -> list[str]:
        """The requests whose path has that word."""
        return [f"{told.method} {told.path}" for told in self.told if word in told.path]

    def put_blob(self, content: bytes) -> dict[str, Any]:
        self.blobs[digest(content)] = content
        return {"digest": digest(content), "size": len(content)}

    def put(self, path: str, tag: str, document: Any, kind: str) -> str:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.manifests[path, tag] = self.manifests[path, digest(raw)] = (kind, raw)
        return digest(raw)

    def put_image(
        self,
        path: str,
        tag: str,
        layers: Sequence[bytes],
        kind: str = MANIFEST,
        **changes: Any,
    ) -> str:
        """An image of these layers, gzipped; returns the digest of its manifest."""
        stored = [self.put_blob(gzip.compress(layer, mtime=0)) for layer in layers]
        about = self.put_blob(json.dumps(config(layers, **changes)).encode())
        document = {"schemaVersion": 2, "mediaType": kind, "config": about, "layers": stored}
        return self.put(path, tag, document, kind)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms between its head and its body
    fake: Fake

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": "so it is"}]}).encode()
        self.answer(status, body, **headers)

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        told = Told(
            self.command,
            parts.path,
            parse_qs(parts.query),
            self.headers.get("Authorization"),
            body,
        )
        self.fake.told.append(told)
        if self.fake.before(self, told):
            return
        if parts.path == "/token":
            self.answer(200, json.dumps({"token": TOKEN}).encode())
        elif self._allowed(told):
            self._serve(told)

    do_GET = do_HEAD = do_POST = do_PUT = _any  # noqa: N815  # http.server finds them by name

    def _allowed(self, told: Told) -> bool:
        fake = self.fake
        if fake.auth == "bearer" and told.authorization != f"Bearer {TOKEN}":
            realm = fake.realm or f"http://{fake.host}/token"
            challenge = f'Bearer realm="{realm}",service="the-registry",scope="ignored"'
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
            return False
        if fake.auth == "basic" and not (told.authorization or "").startswith("Basic "):
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="registry"')
            return False
        return True

    def _serve(self, told: Told) -> None:
        path, _, rest = told.path.removeprefix("/v2/").partition("/manifests/")
        if rest and told.method == "PUT":
            kind = self.headers["Content-Type"]
            named = self.fake.put(path, rest, told.body, kind)
            self.answer(201, Docker_Content_Digest=named)
        elif rest:
            self._manifest(path, rest)
        else:
            self._blob(told)

    def _manifest(self, path: str, name: str) -> None:
        found = self.fake.manifests.get((path, name))
        if found is None:
            self.refuse(404, "MANIFEST_UNKNOWN")
            return
        kind, raw = found
        named = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.answer(200, raw, Content_Type=kind, Docker_Content_Digest=named)

    def _blob(self, told: Told) -> None:
        name = told.path.rpartition("/")[2]
        if told.method == "POST":
            wanted = told.query.get("mount", [""])[0]
            if self.fake.mounts and wanted in self.fake.blobs:
                self.answer(201)
            else:
                self.answer(202, Location="/upload/1?state=kept")
        elif told.method == "PUT":
            self.fake.put_blob(told.body)
            self.answer(201)
        elif name in self.fake.blobs:
            self.answer(200, self.fake.blobs[name])
        else:
            self.refuse(404, "BLOB_UNKNOWN")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has seen enough hangs up."""


@contextlib.contextmanager
def serving(certificate: Path | None = None, **behaviour: Any) -> Iterator[Fake]:
    """The registry on a free port of the loopback, for as long as the block takes; encrypted with
    a certificate, whose key is in the same file."""
    fake = Fake(**behaviour)
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
