"""Dry run of `docker stack deploy`: reads from the engine, and records what would be changed.

Only the docker program knows what it sends for a stack file. So it talks to a local socket: reading
requests are passed on to the engine, all others are recorded and answered with success.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from imageproof.errors import ImageproofError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

_PATH = re.compile(r"(?:/v[\d.]+)?/(?P<kind>\w+)(?:/(?P<object>[^/?]+))?(?:/(?P<verb>\w+))?")
PASSED_HEADERS = frozenset({"Api-Version", "Content-Type", "Ostype", "Server", "Swarm"})


@dataclass(frozen=True)
class Change:
    """A request that would change the swarm."""

    method: str
    kind: str  # services, networks, secrets, configs
    object: str  # id; "create" for a new object
    body: Any


@dataclass
class Recorder:
    """What a dry run has recorded, and the secrets that it assumes to exist."""

    engine: Engine
    assumed_secrets: Iterable[str] = ()
    changes: list[Change] = field(default_factory=list)

    def assumed(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield the objects of a kind that would exist by now."""
        names = list(self.assumed_secrets) if kind == "secrets" else []
        names += [change.body["Name"] for change in self.changes if change.kind == kind]
        for name in names:
            yield {"ID": name, "Spec": {"Name": name}}


@contextlib.contextmanager
def recording(engine: Engine, assumed_secrets: Iterable[str]) -> Iterator[tuple[Engine, Recorder]]:
    """Yield an engine that changes nothing, and what its docker program would have changed."""
    recorder = Recorder(engine, assumed_secrets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "docker.sock")
        with ThreadingUnixStreamServer(str(path), _handler(recorder)) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield replace(engine, host=f"unix://{path}", context=None), recorder
            finally:
                server.shutdown()
                thread.join()


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers the docker program."""

        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            """Pass a request on to the engine, and add the objects that would exist by now."""
            try:
                answer = recorder.engine.exchange(f"reading {self.path}", self.command, self.path)
            except ImageproofError as error:
                self._reply(503, json.dumps({"message": error.cause}).encode())
                return
            match, body = _PATH.match(self.path), answer.body
            if match and not match["object"] and match["kind"] in ("secrets", "configs"):
                assumed = list(recorder.assumed(match["kind"]))
                body = json.dumps((json.loads(body) or []) + assumed).encode()
            headers = {
                name: answer.headers[name] for name in PASSED_HEADERS & answer.headers.keys()
            }
            self._reply(answer.status, body, headers)

        do_HEAD = do_GET  # noqa: N815  # the name that the base class calls

        def do_POST(self) -> None:
            """Record a change."""
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if match := _PATH.match(self.path):
                body = json.loads(text) if text.strip() else None
                change = Change(self.command, match["kind"], match["object"] or "", body)
                recorder.changes.append(change)
            self._reply(200, b'{"ID": "dry-run", "Id": "dry-run"}')

        do_DELETE = do_POST  # noqa: N815

        def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            """Print nothing."""

    return Handler
