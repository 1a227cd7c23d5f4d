"""HTTP server of the API, and the smoke test of its image."""

import asyncio
import logging
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
PORT = 8000
MAX_SHUTDOWN_SECONDS = 5
"""Time limit for open requests after DRAIN_SECONDS. Docker kills the API 10 s after SIGTERM."""


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
    server = Server(_config(app, repeats), app.state)
    try:
        server.run()
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


def _config(app: FastAPI, repeats: log.Repeats) -> uvicorn.Config:
    async def summarize() -> None:
        repeats.summarize()

    return uvicorn.Config(
        app,
        host=HOST,
        port=PORT,
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
