"""Middleware that checks the token, rate and size of /v1 requests, and sets every request's id."""

import ipaddress
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.log import has_token, request_id
from app.problems import problem

MAX_BODY_BYTES = 4096
"""Maximum size of a request body. A name and two versions take less than a kilobyte."""
FAILURES_PER_SECOND = 1.0
"""Sustained rate of requests with a wrong token, a client."""
FAILURES_BURST = 120
MAX_CLIENTS = 1024
"""Number of clients whose wrong tokens are counted."""
REQUEST_ID_HEADER = "x-request-id"
_VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass
class TokenBucket:
    """Rate limiter: a sustained rate of `per_second`, with bursts of twice as many requests.

    `burst` is the size of a burst where it is another.
    """

    per_second: float
    clock: Callable[[], float] = time.monotonic
    burst: float = 0
    _tokens: float = field(init=False)
    _refilled_at: float = field(init=False)

    def __post_init__(self) -> None:
        """Start with a full bucket."""
        self._tokens, self._refilled_at = self._capacity, self.clock()

    @property
    def _capacity(self) -> float:
        return self.burst or max(1.0, 2 * self.per_second)

    def take(self) -> float:
        """Take a token; return 0.0, or the seconds until the next one if the bucket is empty."""
        now = self.clock()
        refill = (now - self._refilled_at) * self.per_second
        self._tokens = min(self._capacity, self._tokens + refill)
        self._refilled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self.per_second


class FailureLimiter:
    """Rate limiter of wrong tokens, a client. The right token is never limited."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without clients."""
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, client: str) -> float:
        """Count a failure; return 0.0, or the seconds until the client's next one is admitted."""
        network = _network(client)
        bucket = self._buckets.pop(network, None)
        if bucket is None:
            bucket = TokenBucket(FAILURES_PER_SECOND, self._clock, FAILURES_BURST)
        self._buckets[network] = bucket
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return bucket.take()


def _network(client: str) -> str:
    """Return the client's address, or its IPv6 network of 64 bits, which belongs to one host."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:  # a proxy may send any text
        return client[:64]
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


class Guard:
    """ASGI middleware that admits requests to /v1 and gives every request an id."""

    def __init__(self, app: ASGIApp, token: str | None, limiter: TokenBucket) -> None:
        """Wrap `app`.

        Args:
            app: the application that handles admitted requests.
            token: the bearer token that clients must send; None disables /v1.
            limiter: the rate limiter of POST requests.
        """
        self._app = app
        self._token = token
        self._limiter = limiter
        self._failures = FailureLimiter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an event of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_request_id(send, _set_request_id(Headers(scope=scope)))
        if b"%2f" in scope.get("raw_path", b"").lower():
            # The path is decoded, so a proxy's rules for paths could be evaded.
            await problem(404, "no path has an encoded slash")(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server sends the response without its body
        if _is_v1(scope["path"]):
            await self._handle_v1(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _handle_v1(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it with its whole body to the application."""
        method, headers = scope["method"], Headers(scope=scope)
        client = scope["client"][0] if scope.get("client") else ""
        rejection = (
            self._check_token(headers, client) or _check_length(headers) or self._admit(method)
        )
        if rejection is None and method != "GET":
            try:
                receive = _replay(await _read_body(receive), receive)
            except _TooLarge:
                rejection = _too_large()
            except _Disconnected:
                return  # part of a body is no request
        await (rejection or self._app)(scope, receive, send)

    def _check_token(self, headers: Headers, client: str) -> Response | None:
        """Return the rejection of a request without the token, else None."""
        if not self._token:
            return problem(503, "/v1 is disabled: API_TOKEN is not set")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        # compare_digest takes the same time for any token. It compares other text than ASCII as
        # bytes only.
        is_same = secrets.compare_digest(token.strip().encode(), self._token.encode())
        if scheme.lower() == "bearer" and is_same:
            has_token.set(True)
            return None
        if wait_seconds := self._failures.take(client):
            return _too_many("too many requests with a wrong token", wait_seconds)
        return problem(
            401, "a valid bearer token is required", headers={"WWW-Authenticate": "Bearer"}
        )

    def _admit(self, method: str) -> Response | None:
        """Take a token of the limiter for a POST; return the rejection if there is none."""
        if method == "POST" and (wait_seconds := self._limiter.take()):
            return _too_many("too many requests", wait_seconds)
        return None


def _set_request_id(headers: Headers) -> str:
    """Set the log's request id to the client's id if it is valid, else to a new one; return it."""
    client_id = headers.get(REQUEST_ID_HEADER, "")
    id_ = client_id if _VALID_REQUEST_ID.fullmatch(client_id) else secrets.token_hex(8)
    request_id.set(id_)
    return id_


def _with_request_id(send: Send, id_: str) -> Send:
    """Return a `send` that adds the request id to the response's headers."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = id_
        await send(message)

    return send_with_id


def _is_v1(path: str) -> bool:
    return path == "/v1" or path.startswith("/v1/")


def _check_length(headers: Headers) -> Response | None:
    """Return the rejection of a request whose Content-Length is too large, else None."""
    length = headers.get("content-length", "0")
    is_number = length.isascii() and length.isdigit()
    return _too_large() if is_number and int(length) > MAX_BODY_BYTES else None


def _too_many(detail: str, wait_seconds: float) -> Response:
    return problem(429, detail, headers={"Retry-After": str(int(wait_seconds) + 1)})


def _too_large() -> Response:
    return problem(413, f"the request body is larger than {MAX_BODY_BYTES} bytes")


class _TooLarge(Exception):
    """The body is larger than `MAX_BODY_BYTES`."""


class _Disconnected(Exception):
    """The client disconnected, or broke the protocol, within the body."""


async def _read_body(receive: Receive) -> bytes:
    """Return the whole body.

    Raises:
        _TooLarge: Content-Length, which may be absent or wrong, did not tell.
        _Disconnected: the body is incomplete.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Disconnected
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _TooLarge
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
