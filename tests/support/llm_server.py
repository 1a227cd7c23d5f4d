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
Answer = Callable[["Handler"], None]


@dataclass
class Provider:
    """The scripted replies and the requests so far. The last reply repeats."""

    answers: list[Answer]
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)  # bodies
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def llm(self, **settings: Any) -> LlmSettings:
        """Return settings for this provider, without a pause before the second attempt."""
        url = Secret(AnyHttpUrl(f"http://127.0.0.1:{self.port}/v1"))
        usual = {"provider": "openai", "model": "m", "api_key": SecretStr(KEY), "base_url": url}
        return LlmSettings(**{**usual, "timeout": 20.0, "pause": 0.0, **settings})


class Handler(BaseHTTPRequestHandler):
    provider: Provider
    request_body: dict[str, Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        provider = self.provider
        self.request_body = json.loads(body)
        provider.requests.append(self.request_body)
        provider.headers.append({name.lower(): value for name, value in self.headers.items()})
        provider.paths.append(self.path)
        answer = provider.answers.pop(0) if len(provider.answers) > 1 else provider.answers[0]
        self.close_connection = True
        with suppress(ConnectionError):  # the client may close early
            answer(self)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(*answers: Answer, host: str = "127.0.0.1") -> Iterator[Provider]:
    """Run a provider, and let the process reach it without a proxy."""
    provider = Provider(list(answers))
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


def chat_reply(text: str) -> Answer:
    """Reply with a chat completion of OpenAI's API."""
    return raw_reply(json.dumps({"choices": [{"message": {"content": text}}]}).encode())


def opinion_reply(
    summary: str = "Adds a fetch.", risk: Any = 0.4, reasons: Any = ("lib/a.js:1",)
) -> Answer:
    """Reply with the JSON object that the prompt asks for."""
    return chat_reply(json.dumps({"summary": summary, "risk": risk, "reasons": reasons}))


def raw_reply(body: bytes, status: int = 200) -> Answer:
    return lambda handler: handler.reply(status, body)


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
