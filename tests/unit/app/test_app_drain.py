"""The end of the API's server: who was let in is answered, and nobody else is let in."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from app.drain import HANDSHAKE_SECONDS, Server

TURNS = 6  # more than asyncio takes from the kernel's word to a connection that reads
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _hello(_scope: object, _receive: object, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def _listening() -> AsyncIterator[tuple[Server, int]]:
    """A server in this loop, and its port."""
    config = uvicorn.Config(_hello, port=0, http="h11", ws="none", lifespan="off", log_config=None)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server, server.servers[0].sockets[0].getsockname()[1]


def _connected(port: int) -> socket.socket:
    """A client that the kernel let in; this loop, which is held up meanwhile, knows nothing yet."""
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.setblocking(False)
    return client


async def _answer(client: socket.socket) -> bytes:
    """What the client is answered; it is closed."""
    with client:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), 5)


async def _connected_one_after_the_other(port: int) -> list[socket.socket]:
    """Clients of which the loop has come a turn further with each one than with the next."""
    clients = []
    for _ in range(TURNS):
        await asyncio.sleep(0)
        clients.append(_connected(port))
    return clients


def test_who_has_connected_is_answered() -> None:
    """However far the loop has come with the connection when the end begins."""

    async def go() -> list[bytes]:
        async with _listening() as (server, port):
            clients = await _connected_one_after_the_other(port)
            for client in clients:
                client.send(REQUEST)
            await server.shutdown()
            return [await _answer(client) for client in clients]

    assert [answer[:13] for answer in asyncio.run(go())] == [b"HTTP/1.1 200 "] * TURNS


def test_who_has_connected_may_ask_when_nobody_listens_any_more() -> None:
    """A request that is on its way."""

    async def go() -> list[bytes]:
        async with _listening() as (server, port):
            clients = await _connected_one_after_the_other(port)
            ending = asyncio.ensure_future(server.shutdown())
            await _closed(server)
            for client in clients:
                client.send(REQUEST)
            await ending
            return [await _answer(client) for client in clients]

    assert [answer[:13] for answer in asyncio.run(go())] == [b"HTTP/1.1 200 "] * TURNS


def test_who_has_connected_is_answered_by_a_loop_that_is_held_up() -> None:
    """The connection is found in the very turn in which the wait for it is over."""

    async def go() -> bytes:
        async with _listening() as (server, port):
            client = _connected(port)
            client.send(REQUEST)
            ending = asyncio.ensure_future(server.shutdown())
            asyncio.get_running_loop().call_soon(time.sleep, 2 * HANDSHAKE_SECONDS)
            await ending
            return await _answer(client)

    assert asyncio.run(go())[:13] == b"HTTP/1.1 200 "


async def _closed(server: Server) -> None:
    while server.servers[0].is_serving():  # noqa: ASYNC110 - asyncio tells nobody of it
        await asyncio.sleep(0)


def test_nobody_is_let_in_whom_the_kernel_would_reset() -> None:
    """A connection that is asked for in the end's very first moment is refused."""

    async def go() -> None:
        async with _listening() as (server, port):
            ending = asyncio.ensure_future(server.shutdown())
            await asyncio.sleep(0)
            assert server.servers[0].is_serving()
            with pytest.raises(ConnectionRefusedError):
                _connected(port)
            await ending

    asyncio.run(go())
