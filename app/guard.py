"""What stands before /v1: the token, the rate and the size of requests; and each request's id."""

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
"""Of a request: a name and two versions take less than a kilobyte."""
REQUEST_ID = "x-request-id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass
class Rate:
    """A bucket of tokens: `per_second` in the long run, twice as many at once."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self._level, self._at = self._most, self.clock()

    @property
    def _most(self) -> float:
        return max(1.0, 2 * self.per_second)

    def take(self) -> float:
        """Take one; returns 0, or the seconds until there is one."""
        now = self.clock()
        self._level = min(self._most, self._level + (now - self._at) * self.per_second)
        self._at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self.per_second


class Guard:
    """ASGI middleware. Whoever has no token learns nothing of /v1 but that it needs one."""

    def __init__(self, app: ASGIApp, token: str | None, rate: Rate) -> None:
        """`token`: what clients must send; None: /v1 is closed. `rate`: of requests that write."""
        self._app = app
        self._token = token
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        id_ = given if _ID.fullmatch(given) else secrets.token_hex(8)
        request_id.set(id_)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = id_
            await send(message)

        if _is_v1(scope["path"]):
            refusal = self._refusal(scope["method"], headers)
            if refusal is None and scope["method"] not in ("GET", "HEAD"):
                body = await _body(receive)
                if body is None:
                    refusal = _too_large()
                else:
                    receive = _again(body, receive)
            if refusal is not None:
                await refusal(scope, receive, named)
                return
        await self._app(scope, receive, named)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        if not self._token:
            return problem(503, "/v1 is closed: API_TOKEN is not set")
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        # Both as bytes of any length: the comparison takes the same time wherever they differ.
        same = secrets.compare_digest(sent.strip().encode(), self._token.encode())
        if scheme.lower() != "bearer" or not same:
            return problem(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
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
    return problem(413, f"a request has at most {MAX_BODY_BYTES} bytes")


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None: it is too long, however it was announced."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)  # the client left
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what else comes."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
