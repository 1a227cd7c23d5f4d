"""LLM provider on the loopback interface, with scripted replies."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import AnyHttpUrl, Secret, SecretStr

from worker.llm import LlmSettings

KEY = "sk-this-must-not-be-seen"
Reply = Callable[["Handler"], None]
"""Function that sends a reply to a request."""


@dataclass
class FakeProvider:
    """LLM provider: its scripted replies and the requests so far.

    Attributes:
        replies: the pending replies; the last one repeats.
        bodies, headers, paths: parts of each request.
        closing: set at the end, for replies that wait.
    """

    replies: list[Reply]
    host: str
    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def settings(self, **changes: Any) -> LlmSettings:
        """Return settings for this provider, without a pause before the second attempt."""
        defaults = {
            "provider": "openai",
            "model": "m",
            "api_key": SecretStr(KEY),
            "base_url": Secret(AnyHttpUrl(f"http://{self.host}:{self.port}/v1")),
            "timeout": 20.0,
            "pause": 0.0,
        }
        return LlmSettings(**{**defaults, **changes})

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Handler(BaseHTTPRequestHandler):
    provider: FakeProvider
    request_body: dict[str, Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        provider = self.provider
        self.request_body = json.loads(body)
        provider.bodies.append(self.request_body)
        provider.headers.append({name.lower(): value for name, value in self.headers.items()})
        provider.paths.append(self.path)
        reply = provider.next_reply()
        self.close_connection = True
        with suppress(ConnectionError):  # the client may close early
            reply(self)

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(*replies: Reply, host: str = "127.0.0.1") -> Iterator[FakeProvider]:
    """Run a provider, which this process reaches without a proxy."""
    provider = FakeProvider(list(replies), host)
    handler = type("ProviderHandler", (Handler,), {"provider": provider})
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


def make_chat_reply(text: str) -> Reply:
    """Return a reply: a chat completion of OpenAI's API."""
    return make_raw_reply(json.dumps({"choices": [{"message": {"content": text}}]}).encode())


def make_opinion_reply(
    summary: str = "Adds a fetch.", risk: Any = 0.4, reasons: Any = ("lib/a.js:1",)
) -> Reply:
    """Return a reply: the JSON object that the prompt asks for."""
    return make_chat_reply(json.dumps({"summary": summary, "risk": risk, "reasons": reasons}))


def make_raw_reply(body: bytes, status: int = 200) -> Reply:
    return lambda handler: handler.respond(status, body)


def disconnect(handler: Handler) -> None:
    """Close the connection without a reply."""
    handler.connection.close()


def endless_headers(handler: Handler) -> None:
    """Send headers slowly and without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.provider.closing.wait(0.01):
        handler.wfile.write(b"x: y\r\n")


def slow_body(handler: Handler) -> None:
    """Send a body byte by byte and without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.provider.closing.wait(0.01):
        handler.wfile.write(b" ")


def endless_body(handler: Handler) -> None:
    """Send a body fast and without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.provider.closing.is_set():
        handler.wfile.write(b" " * 65536)


def no_reply(handler: Handler) -> None:
    """Keep the connection open without a reply."""
    handler.provider.closing.wait()
