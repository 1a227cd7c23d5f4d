"""A provider on the loopback that answers as a test scripts it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import AnyHttpUrl, Secret, SecretStr

from worker.llm import Llm

KEY = "sk-this-must-not-be-seen"
Answer = Callable[["Handler"], None]


@dataclass
class Provider:
    """What it was asked, and how it answers: each request takes the next, the last one stays."""

    answers: list[Answer]
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def llm(self, **settings: Any) -> Llm:
        """Settings that lead to it; no pause before the second try."""
        url = Secret(AnyHttpUrl(f"http://127.0.0.1:{self.port}/v1"))
        known = {"provider": "openai", "model": "m", "api_key": SecretStr(KEY), "base_url": url}
        return Llm(**{**known, "timeout": 20.0, "pause": 0.0, **settings})


class Handler(BaseHTTPRequestHandler):
    provider: Provider
    asked: dict[str, Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        known = self.provider
        self.asked = json.loads(body)
        known.asked.append(self.asked)
        known.headers.append({name.lower(): value for name, value in self.headers.items()})
        known.paths.append(self.path)
        answer = known.answers.pop(0) if len(known.answers) > 1 else known.answers[0]
        self.close_connection = True
        with suppress(ConnectionError):  # the client may have had enough
            answer(self)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(*answers: Answer, host: str = "127.0.0.1") -> Iterator[Provider]:
    """A provider that answers so, until the end; no proxy of this machine stands before it."""
    provider = Provider(list(answers))
    handler = type("Scripted", (Handler,), {"provider": provider})
    with (
        pytest.MonkeyPatch.context() as environment,
        ThreadingHTTPServer((host, 0), handler) as server,
    ):
        environment.setenv("NO_PROXY", "*")
        environment.setenv("no_proxy", "*")
        server.daemon_threads = True
        provider.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield provider
        finally:
            provider.closing.set()
            server.shutdown()
            thread.join()


def said(text: str) -> Answer:
    """Answer as OpenAI's chat completions do."""
    return raw(json.dumps({"choices": [{"message": {"content": text}}]}).encode())


def thinks(
    summary: str = "Adds a fetch.", risk: Any = 0.4, reasons: Any = ("lib/a.js:1",)
) -> Answer:
    """Answer in the agreed shape."""
    return said(json.dumps({"summary": summary, "risk": risk, "reasons": reasons}))


def raw(body: bytes, status: int = 200) -> Answer:
    return lambda handler: handler.reply(status, body)


def closes(handler: Handler) -> None:
    """Hang up without a word."""
    handler.connection.close()


def drips_headers(handler: Handler) -> None:
    """Send header after header, and never the end of them."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.provider.closing.wait(0.01):
        handler.wfile.write(b"x: y\r\n")


def drips_body(handler: Handler) -> None:
    """Send a body byte by byte, without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.provider.closing.wait(0.01):
        handler.wfile.write(b" ")


def floods(handler: Handler) -> None:
    """Send a body without end, as fast as it is taken."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.provider.closing.is_set():
        handler.wfile.write(b" " * 65536)


def silent(handler: Handler) -> None:
    """Say nothing, and stay."""
    handler.provider.closing.wait()
