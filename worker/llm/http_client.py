"""One request over HTTP within a deadline, with a bound on what is read.

The deadline is one for everything, names and both tries included: a server that sends a byte a
second keeps within the timeouts of a client that bounds single reads. So the client is an
asynchronous one, which can be stopped wherever it waits.
"""

import asyncio
import logging
import ssl
from functools import cache

import httpx

from worker.llm.providers import Request
from worker.llm.settings import Missing, NoAnswer

MAX_ANSWER_BYTES = 1024 * 1024
_AGAIN = {Missing.AWAY, Missing.BUSY, Missing.BROKEN}
_STATUSES = {
    401: Missing.UNAUTHORIZED,
    403: Missing.UNAUTHORIZED,
    404: Missing.UNKNOWN,
    429: Missing.BUSY,
}
# They log addresses, which may hold a password, and whatever a server puts into its headers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def post(request: Request, *, timeout: float, pause: float) -> bytes:
    """Return the body of the answer.

    A second try follows a failure that may pass. Not for use inside an event loop.

    Args:
        request: what to send.
        timeout: seconds for everything.
        pause: seconds between the two tries.

    Raises:
        NoAnswer: there is none within the timeout.
    """
    # Not asyncio.run, which would wait for a thread that still looks up a name.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_within(request, timeout, pause))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _within(request: Request, seconds: float, pause: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            try:
                return await _once(request)
            except NoAnswer as error:
                if error.missing not in _AGAIN:
                    raise
            await asyncio.sleep(pause)
            return await _once(request)
    except TimeoutError:
        raise NoAnswer(Missing.SLOW) from None


async def _once(request: Request) -> bytes:
    try:
        async with (
            httpx.AsyncClient(verify=_trust(), timeout=None) as client,  # noqa: S113 - see _within
            client.stream(
                "POST", request.url, headers=request.headers, content=request.body
            ) as response,
        ):
            if response.status_code != 200:
                raise NoAnswer(_missing(response.status_code))
            return await _read(response)
    except httpx.TransportError:
        raise NoAnswer(Missing.AWAY) from None


@cache
def _trust() -> ssl.SSLContext:
    """Return the machine's own trust store, as for everything else in the image; read once."""
    return ssl.create_default_context()


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():  # raw: nothing is unpacked
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise NoAnswer(Missing.LARGE)
    return bytes(body)


def _missing(status: int) -> Missing:
    return _STATUSES.get(status, Missing.BROKEN if status >= 500 else Missing.DENIED)
