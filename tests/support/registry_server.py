"""Fake container registry in the test's process; a test can replace its responses."""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.archives import digest, image_config

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
    # (repository, tag or digest): (media type, content)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    auth: str = ""  # basic, bearer, or none
    realm: str = ""  # URL of the token service (default: this server)
    requests: list[Request] = field(default_factory=list)
    # Called first, with the handler and the request; returns whether it sent the response.
    intercept: Callable[[Any, Request], bool] = lambda *_: False
    allows_mounts: bool = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def requests_for(self, part: str) -> list[str]:
        """Return method and path of each request whose path contains `part`."""
        return [f"{r.method} {r.path}" for r in self.requests if part in r.path]

    def put_blob(self, content: bytes) -> dict[str, Any]:
        """Add a blob and return its descriptor."""
        self.blobs[digest(content)] = content
        return {"digest": digest(content), "size": len(content)}

    def put_manifest(self, path: str, tag: str, document: Any, media_type: str) -> str:
        """Add a manifest, given as bytes or as a document, and return its digest."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.manifests[path, tag] = self.manifests[path, digest(raw)] = (media_type, raw)
        return digest(raw)

    def put_image(
        self,
        path: str,
        tag: str,
        layers: Sequence[bytes],
        media_type: str = MANIFEST,
        **config_changes: Any,
    ) -> str:
        """Add an image of these layers, gzipped, and return the digest of its manifest."""
        config = image_config(layers, **config_changes)
        document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self.put_blob(json.dumps(config).encode()),
            "layers": [self.put_blob(gzip.compress(layer, mtime=0)) for layer in layers],
        }
        return self.put_manifest(path, tag, document, media_type)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body of each answer waits 40 ms
    fake: FakeRegistry

    def log_message(self, *_: object) -> None:
        pass

    def respond(self, status: int, body: bytes = b"", **headers: str) -> bool:
        """Send a response; `_` in a header's name stands for `-`. Return True, for `intercept`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def refuse(self, status: int, code: str, **headers: str) -> bool:
        """Send an error response. Return True, for `intercept`."""
        body = json.dumps({"errors": [{"code": code, "message": "fake message"}]}).encode()
        return self.respond(status, body, **headers)

    def _handle(self) -> None:
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
            self.respond(200, json.dumps({"token": TOKEN}).encode())
        elif self._allowed(request):
            self._serve(request)

    do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815  # http.server finds them by name

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
        path, _, tag_or_digest = request.path.removeprefix("/v2/").partition("/manifests/")
        if not tag_or_digest:
            self._serve_blob(request)
        elif request.method == "PUT":
            media_type = self.headers["Content-Type"]
            stored = self.fake.put_manifest(path, tag_or_digest, request.body, media_type)
            self.respond(201, Docker_Content_Digest=stored)
        elif (path, tag_or_digest) in self.fake.manifests:
            media_type, raw = self.fake.manifests[path, tag_or_digest]
            self.respond(200, raw, Content_Type=media_type, Docker_Content_Digest=digest(raw))
        else:
            self.refuse(404, "MANIFEST_UNKNOWN")

    def _serve_blob(self, request: Request) -> None:
        name = request.path.rpartition("/")[2]
        if request.method == "POST":
            wanted = request.query.get("mount", [""])[0]
            if self.fake.allows_mounts and wanted in self.fake.blobs:
                self.respond(201)
            else:
                self.respond(202, Location="/upload/1?state=opened")
        elif request.method == "PUT":
            self.fake.put_blob(request.body)
            self.respond(201)
        elif name in self.fake.blobs:
            self.respond(200, self.fake.blobs[name])
        else:
            self.refuse(404, "BLOB_UNKNOWN")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that close the connection early."""


@contextlib.contextmanager
def serving(certificate: Path | None = None, **attributes: Any) -> Iterator[FakeRegistry]:
    """Serve a fake registry on a free loopback port.

    Args:
        certificate: Serve https with this certificate; its key is in the same file.
        attributes: Attributes of FakeRegistry.
    """
    fake = FakeRegistry(**attributes)
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
