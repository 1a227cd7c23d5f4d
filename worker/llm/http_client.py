"""HTTP client for one request, with a total deadline and a size limit.

A timeout for each read would not stop a server that sends one byte a second. So one deadline covers
everything, name resolution and both attempts included. The client is asynchronous, because it can
then be cancelled at any point.
"""

import asyncio
import logging
import ssl
from functools import cache

import httpx

from worker.llm.providers import Request
from worker.llm.settings import LlmError, MissingReason

MAX_ANSWER_BYTES = 1024 * 1024
_RETRYABLE = {MissingReason.UNREACHABLE, MissingReason.RATE_LIMITED, MissingReason.SERVER_ERROR}
_REASON_BY_STATUS = {
    401: MissingReason.UNAUTHORIZED,
    403: MissingReason.UNAUTHORIZED,
    404: MissingReason.NOT_FOUND,
    429: MissingReason.RATE_LIMITED,
}
# Below this level, they log addresses, which may contain a password, and a server's headers.
for _logger_name in ("httpx", "httpcore"):
    logging.getLogger(_logger_name).setLevel(logging.WARNING)


def post(request: Request, *, timeout: float, pause: float) -> bytes:
    """Send the request and return the response's body. Do not call it inside an event loop.

    A temporary failure is retried once.

    Args:
        request: the request.
        timeout: seconds for everything.
        pause: seconds between the two attempts.

    Raises:
        LlmError: there is no valid response within the timeout.
    """
    # Not asyncio.run: it would wait for a thread that is still resolving a name.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_post_with_retry(request, timeout, pause))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _post_with_retry(request: Request, seconds: float, pause: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            try:
                return await _post(request)
            except LlmError as error:
                if error.reason not in _RETRYABLE:
                    raise
            await asyncio.sleep(pause)
            return await _post(request)
    except TimeoutError:
        raise LlmError(MissingReason.TIMEOUT) from None


async def _post(request: Request) -> bytes:
    try:
        async with (
            httpx.AsyncClient(verify=_trust_store(), timeout=None) as client,  # noqa: S113 - see post
            client.stream(
                "POST", request.url, headers=request.headers, content=request.body
            ) as response,
        ):
            if response.status_code != 200:
                raise LlmError(_reason_for(response.status_code))
            return await _read(response)
    except httpx.TransportError:
        raise LlmError(MissingReason.UNREACHABLE) from None


@cache
def _trust_store() -> ssl.SSLContext:
    """Return the system's trust store, in place of httpx' own."""
    return ssl.create_default_context()


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():  # raw: nothing is decompressed
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise LlmError(MissingReason.TOO_LARGE)
    return bytes(body)


def _reason_for(status: int) -> MissingReason:
    default = MissingReason.SERVER_ERROR if status >= 500 else MissingReason.REJECTED
    return _REASON_BY_STATUS.get(status, default)
