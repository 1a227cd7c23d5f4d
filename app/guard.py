"""Middleware that checks the token, rate and size of /v1 requests, and sets every request's id."""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.log import request_id
from app.problems import problem

MAX_BODY_BYTES = 4096
"""Maximum size of a request body. A name and two versions take less than a kilobyte."""
REQUEST_ID = "x-request-id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass
class TokenBucket:
    """Rate limiter: a sustained rate of `per_second`, with bursts of twice as many requests."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        """Start with a full bucket."""
        self._level, self._at = self._capacity, self.clock()

    @property
    def _capacity(self) -> float:
        return max(1.0, 2 * self.per_second)

    def take(self) -> float:
        """Take a token; return 0.0, or the seconds until the next one if the bucket is empty."""
        now = self.clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self.per_second)
        self._at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self.per_second


class Guard:
    """ASGI middleware. Without the token, every path of /v1 answers 401."""

    def __init__(self, app: ASGIApp, token: str | None, rate: TokenBucket) -> None:
        """Wrap `app`.

        Args:
            app: the application that handles accepted requests.
            token: the bearer token that clients must send; None disables /v1.
            rate: the limiter of POST requests.
        """
        self._app = app
        self._token = token
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent = headers.get(REQUEST_ID, "")
        id_ = sent if _ID.fullmatch(sent) else secrets.token_hex(8)
        request_id.set(id_)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = id_
            await send(message)

        if _is_v1(scope["path"]):
            rejection = self._rejection(scope["method"], headers)
            if rejection is None and scope["method"] not in ("GET", "HEAD"):
                body = await _read_body(receive)
                if body is None:
                    rejection = _too_large()
                else:
                    receive = _replay(body, receive)
            if rejection is not None:
                await rejection(scope, receive, send_with_id)
                return
        await self._app(scope, receive, send_with_id)

    def _rejection(self, method: str, headers: Headers) -> Response | None:
        if not self._token:
            return problem(503, "/v1 is disabled: API_TOKEN is not set")
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        # As bytes, which may hold any character; the comparison takes constant time.
        same = secrets.compare_digest(sent.strip().encode(), self._token.encode())
        if scheme.lower() != "bearer" or not same:
            return problem(
                401, "a valid bearer token is required", headers={"WWW-Authenticate": "Bearer"}
            )
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > MAX_BODY_BYTES:
            return _too_large()
        if method == "POST" and (wait := self._rate.take()):
            seconds = str(int(wait) + 1)
            return problem(429, "too many requests", headers={"Retry-After": seconds})
        return None


def _is_v1(path: str) -> bool:
    return path == "/v1" or path.startswith("/v1/")


def _too_large() -> Response:
    return problem(413, f"the request body is larger than {MAX_BODY_BYTES} bytes")


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if it is too large, whatever its Content-Length."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)  # the client disconnected
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns the body already read, then further messages."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
