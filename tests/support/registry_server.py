"""Fake container registry in the test's process, whose answers a test can replace."""

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
TOKEN, USER, PASSWORD = "token-of-a-test", "some-user", "word-of-a-test"


@dataclass
class Request:
    """A request that the registry received."""

    method: str
    path: str
    query: dict[str, list[str]]
    authorization: str | None
    body: bytes


@dataclass
class FakeRegistry:
    """Content of the registry, the requests that it received, and its behaviour."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    auth: str = ""  # basic or bearer
    realm: str = ""
    requests: list[Request] = field(default_factory=list)
    # Called first with the handler and the request; True if it answered the request.
    intercept: Callable[[Any, Request], bool] = lambda *_: False
    mounts: bool = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def requests_for(self, part: str) -> list[str]:
        """Return method and path of each request whose path contains `part`."""
        return [f"{r.method} {r.path}" for r in self.requests if part in r.path]

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
        """Add an image of these layers, gzipped, and return the digest of its manifest."""
        stored = [self.put_blob(gzip.compress(layer, mtime=0)) for layer in layers]
        stored_config = self.put_blob(json.dumps(config(layers, **changes)).encode())
        document = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": stored_config,
            "layers": stored,
        }
        return self.put(path, tag, document, kind)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body of each answer waits 40 ms
    fake: FakeRegistry

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
        body = json.dumps({"errors": [{"code": code, "message": "fake message"}]}).encode()
        self.answer(status, body, **headers)

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            parse_qs(parts.query),
            self.headers.get("Authorization"),
            body,
        )
        self.fake.requests.append(request)
        if self.fake.intercept(self, request):
            return
        if parts.path == "/token":
            self.answer(200, json.dumps({"token": TOKEN}).encode())
        elif self._allowed(request):
            self._serve(request)

    do_GET = do_HEAD = do_POST = do_PUT = _any  # noqa: N815  # http.server finds them by name

    def _allowed(self, request: Request) -> bool:
        fake = self.fake
        if fake.auth == "bearer" and request.authorization != f"Bearer {TOKEN}":
            realm = fake.realm or f"http://{fake.host}/token"
            challenge = f'Bearer realm="{realm}",service="the-registry",scope="ignored"'
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
            return False
        if fake.auth == "basic" and not (request.authorization or "").startswith("Basic "):
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="registry"')
            return False
        return True

    def _serve(self, request: Request) -> None:
        path, _, rest = request.path.removeprefix("/v2/").partition("/manifests/")
        if rest and request.method == "PUT":
            kind = self.headers["Content-Type"]
            stored = self.fake.put(path, rest, request.body, kind)
            self.answer(201, Docker_Content_Digest=stored)
        elif rest:
            self._manifest(path, rest)
        else:
            self._blob(request)

    def _manifest(self, path: str, name: str) -> None:
        stored = self.fake.manifests.get((path, name))
        if stored is None:
            self.refuse(404, "MANIFEST_UNKNOWN")
            return
        kind, raw = stored
        stated = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.answer(200, raw, Content_Type=kind, Docker_Content_Digest=stated)

    def _blob(self, request: Request) -> None:
        name = request.path.rpartition("/")[2]
        if request.method == "POST":
            wanted = request.query.get("mount", [""])[0]
            if self.fake.mounts and wanted in self.fake.blobs:
                self.answer(201)
            else:
                self.answer(202, Location="/upload/1?state=opened")
        elif request.method == "PUT":
            self.fake.put_blob(request.body)
            self.answer(201)
        elif name in self.fake.blobs:
            self.answer(200, self.fake.blobs[name])
        else:
            self.refuse(404, "BLOB_UNKNOWN")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that close the connection early."""


@contextlib.contextmanager
def serving(certificate: Path | None = None, **behaviour: Any) -> Iterator[FakeRegistry]:
    """Serve a fake registry on a free loopback port.

    Args:
        certificate: Serve https with this certificate; its key is in the same file.
        behaviour: Attributes of FakeRegistry.
    """
    fake = FakeRegistry(**behaviour)
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
