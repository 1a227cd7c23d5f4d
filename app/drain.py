"""A server whose end fails no request."""

import asyncio
import contextlib
import socket
import time

import uvicorn

HANDSHAKE_SECONDS = 0.1
"""How long a handshake that has begun may take to end: far more than a round trip in a network."""
ARRIVAL_SECONDS = 2.0
"""How long a connection that was made before the end may take to send its request."""
SO_BINDTOIFINDEX = 62  # Linux 5.1, include/uapi/asm-generic/socket.h; no privilege needed since 5.7
NO_INTERFACE = 2**31 - 1


class Server(uvicorn.Server):
    """Told to end, it lets nobody in any more, and answers whom it has let in.

    Who is refused a connection asks another node; who has one may have asked already, and is not
    to lose the answer. But when a socket that listens is closed, the kernel resets whoever waits
    there to be accepted, and uvicorn closes each connection that has no request yet. A rolling
    update under load meets both (tests/swarm).
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, wait for requests that are on their way, and end as uvicorn does."""
        for server in self.servers:
            for listening in server.sockets:
                let_no_handshake_begin(listening)
        await asyncio.sleep(HANDSHAKE_SECONDS)
        for server in self.servers:
            server.close()
        deadline = time.monotonic() + ARRIVAL_SECONDS
        connections = self.server_state.connections
        # It is looked for, since uvicorn tells nobody of a first request.
        while time.monotonic() < deadline and any(map(_is_new, connections)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)


def let_no_handshake_begin(listening: socket.socket) -> None:
    """Refuse every connection that is asked for from now on, as if nobody listened.

    The socket is bound to a network interface that is not there: the kernel finds no listener for a
    SYN. Handshakes that have begun end, and who waits to be accepted still is. Where the kernel
    does not let it be bound, a client of the last moment may be reset, as by other servers.
    """
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)


def _is_new(connection: object) -> bool:
    """Whether nothing was asked yet: uvicorn's h11 protocol then has no cycle."""
    return getattr(connection, "cycle", None) is None
