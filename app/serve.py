"""HTTP server of the API, and the smoke test of its image."""

import asyncio
import logging
import socket
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from app import log
from app.config import EXIT_CONFIG, ApiSettings, ConfigError, load
from app.drain import Server
from app.main import create_app
from app.protocol import BACKLOG, BoundedProtocol, Gate
from app.store import Store, connect

HOST = "0.0.0.0"
LOOPBACK = "127.0.0.1"
PORT = 8000
RECEIVE_BUFFER_BYTES = 16 * 1024
SEND_BUFFER_BYTES = 64 * 1024
MAX_SHUTDOWN_SECONDS = 5
"""Time limit for open requests after DRAIN_SECONDS. Docker kills the API 10 s after SIGTERM."""
logger = logging.getLogger(__name__)


def serve() -> int:
    """Serve until a signal, and return the exit status."""
    try:
        settings = load(ApiSettings)
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return EXIT_CONFIG
    repeats = log.configure(settings.log_level, settings.secrets())
    store = Store(connect(settings.effective_store_url), ttl_seconds=settings.review_ttl)
    app = create_app(settings, store)
    try:
        listeners = _listeners(PORT)
    except OSError as error:
        logger.error("cannot listen", extra={"port": PORT, "error": error.strerror})
        return 1
    server = Server(_config(app, repeats), app.state)
    try:
        server.run(listeners)
    finally:
        repeats.summarize()
    return 0 if server.started else 1


def check() -> int:
    """Load the application, send it requests in this process, and print "ok".

    Opens no socket, reads no setting, and writes no file. Raises on failure, because the image
    build shows the traceback.
    """
    logging.disable(logging.WARNING)  # "store does not answer", which is expected here
    app = create_app(ApiSettings.model_construct(), Store(connect("unix:///nowhere")))
    _config(app, log.Repeats()).load()
    app.openapi()
    # There is no store and no token here: the check covers both error responses.
    for path, expected in (("/health", 200), ("/ready", 503), ("/v1/reviews", 503)):
        status = asyncio.run(_get_status(app, path))
        if status != expected:
            raise RuntimeError(f"GET {path} answers {status}, not {expected}")
    print("ok")
    return 0


def _listeners(port: int) -> list[socket.socket]:
    """Return sockets that are bound to the port, on all addresses and on the loopback.

    Each has a queue of connections that wait to be accepted. The kernel gives a connection to the
    most specific one, so a full queue of clients does not delay the container's health probe.

    Raises:
        OSError: the port is in use.
    """
    listeners: list[socket.socket] = []
    for host in (HOST, LOOPBACK):
        listener = socket.socket()
        listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == LOOPBACK:
            # Only now: another API on this port is still an error.
            for each in listeners:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Connections inherit both: they bound what the kernel, and then one read, hold for each.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind((host, port))
        port = listener.getsockname()[1]
    return listeners


def _config(app: FastAPI, repeats: log.Repeats) -> uvicorn.Config:
    async def summarize() -> None:
        repeats.summarize()

    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, Gate())),
        backlog=BACKLOG,
        callback_notify=summarize,
        timeout_notify=log.SUMMARY_SECONDS,
        # Named, because "auto" makes uvicorn search for faster ones, which are not installed.
        ws="none",
        loop="asyncio",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=MAX_SHUTDOWN_SECONDS,
    )


async def _get_status(app: FastAPI, path: str) -> int:
    """Return the status of GET `path`, sent to the application without a server."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "server": ("localhost", PORT),
        "client": ("localhost", 0),
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])
