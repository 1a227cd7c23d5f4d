"""uvicorn's HTTP protocol with a time limit for each phase and a limit on connections.

A client that owes bytes costs a connection: an unfinished header, an unfinished body, a response
that it does not read. Each of these phases has a deadline from its start, which further bytes do
not extend. If all connections are in use, the one that has waited longest for its client makes room
for a new one, so a flood of such clients cannot keep out requests that arrive at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import ipaddress
import logging
from enum import Enum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app import log
from app.framing import MAX_HEADER_BYTES, Refused, StrictConnection
from app.problems import problem

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

MAX_CONNECTIONS = 1024
RESERVED_CONNECTIONS = 16
"""Connections above the maximum for clients on this host, such as the container's health probe."""
BACKLOG = 32
"""Connections that asyncio accepts at once: few compared with the maximum, so that a request is
read before so many newer connections arrive that its connection must make room."""
WRITE_BUFFER_BYTES = 16 * 1024
"""Bytes that a client has not yet read, from which the application waits before it sends more."""
logger = logging.getLogger(__name__)


class Phase(Enum):
    """Phase of a connection, and its time limit in seconds."""

    IDLE = "idle", 5.0
    HEADER = "header", 10.0
    BODY = "body", 10.0
    RESPONSE = "response", 60.0
    CLOSING = "closing", 2.0

    @property
    def seconds(self) -> float:
        """Time limit."""
        return self.value[1]


_DETAILS = {
    400: "the request is not valid HTTP/1.1",
    431: f"the request header, or a line of the body's framing, is larger than {MAX_HEADER_BYTES}"
    " bytes",
    501: "chunked is the only supported Transfer-Encoding",
}


class Gate:
    """Limit on the connections of a server."""

    def __init__(self) -> None:
        """Admit all until there are `MAX_CONNECTIONS`."""
        # Connections that wait for their client, by the time since when. A dict is ordered.
        self.waiting: dict[BoundedProtocol, None] = {}
        self.reserved: set[BoundedProtocol] = set()

    def admit(self, connection: BoundedProtocol) -> bool:
        """Return whether a new connection is admitted. Close the longest-waiting one if needed."""
        if len(self.reserved) < RESERVED_CONNECTIONS and connection.is_local:
            self.reserved.add(connection)
            return True
        if len(connection.connections) - len(self.reserved) <= MAX_CONNECTIONS:
            return True
        longest_waiting = next(iter(self.waiting), None)
        if longest_waiting is None:
            return False
        longest_waiting.drop("too many connections")
        return True

    def set_waiting(self, connection: BoundedProtocol, is_waiting: bool) -> None:
        """Note whether a connection waits for its client."""
        if not is_waiting or connection in self.reserved:
            self.waiting.pop(connection, None)
        else:
            self.waiting.setdefault(connection)

    def forget(self, connection: BoundedProtocol) -> None:
        """Forget a connection that is closed."""
        self.waiting.pop(connection, None)
        self.reserved.discard(connection)


class BoundedProtocol(H11Protocol):
    """One connection. Overrides uvicorn's methods only to observe them and to answer errors."""

    conn: StrictConnection

    def __init__(
        self,
        gate: Gate,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Serve `config`'s application on a connection that `gate` admits."""
        super().__init__(config, server_state, app_state, _loop)
        self.conn = StrictConnection()
        self._gate = gate
        self._phase: Phase | None = None
        self._phase_cycle: object = None
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = self._client_has_finished = self._write_paused = False

    @property
    def is_local(self) -> bool:
        """Whether the client runs on this host, as the health probe does."""
        return self.client is not None and ipaddress.ip_address(self.client[0]).is_loopback

    # --- asyncio's and uvicorn's methods

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or answer 503."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if self._gate.admit(self):
            self._update()
        else:
            self._refuse(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        """Read requests. After a refusal drop the bytes, so that the client reads the response."""
        if not self._refused:
            super().data_received(data)
            self._update()

    def handle_events(self) -> None:
        """Handle requests without the log's variables of an earlier request.

        asyncio passes them on: a request's task lets the connection read the next one.
        """
        contextvars.Context().run(super().handle_events)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection until complete requests are answered; refuse an incomplete one."""
        self._client_has_finished = True
        if self._phase in (Phase.HEADER, Phase.BODY) and not self._refused:
            self._refuse(400, "the request ended before it was complete")
        return self._phase is Phase.RESPONSE

    def on_response_complete(self) -> None:
        """Begin the next phase."""
        super().on_response_complete()
        self._update()

    def send_400_response(self, msg: str) -> None:
        """Answer an invalid request with the problem that `StrictConnection` found."""
        error = self.conn.error
        status = error.error_status_hint if error else 400
        detail = str(error) if isinstance(error, Refused) else _DETAILS.get(status, msg)
        self._refuse(status, detail)

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._write_paused = True
        self._update()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._write_paused = False
        self._update()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._gate.forget(self)
        if self._deadline:
            self._deadline.cancel()

    # --- limits

    def drop(self, reason: str) -> None:
        """Close the connection at once."""
        self._log(reason)
        self.connections.discard(self)
        self._gate.forget(self)
        self.transport.abort()

    def _update(self) -> None:
        """Set the deadline of a new phase, and whether the connection waits for its client."""
        phase = self._current_phase()
        if (phase, self.cycle) != (self._phase, self._phase_cycle):
            self._phase, self._phase_cycle = phase, self.cycle
            if self._deadline:
                self._deadline.cancel()
            self._deadline = self.loop.call_later(phase.seconds, self._expire)
            self._gate.set_waiting(self, False)
        if phase is Phase.IDLE and self._client_has_finished:
            self.transport.close()
        is_open = not self.transport.is_closing()
        self._gate.set_waiting(
            self, is_open and (phase is not Phase.RESPONSE or self._write_paused)
        )

    def _current_phase(self) -> Phase:
        if self._refused:
            return Phase.CLOSING
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.BODY
        if self.conn.their_state is h11.IDLE:
            return Phase.HEADER if self.conn.trailing_data[0] else Phase.IDLE
        return Phase.RESPONSE

    def _expire(self) -> None:
        """End a phase that takes too long."""
        assert self._phase is not None
        if self._phase is Phase.IDLE:
            self.transport.close()
        elif self._phase in (Phase.HEADER, Phase.BODY):
            name, seconds = self._phase.value
            self._refuse(408, f"the request {name} did not arrive within {seconds:g} s")
        elif self._phase is Phase.RESPONSE:
            self.drop("the client did not read the response in time")
        else:
            self.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with a problem if the response has not begun, and close the connection."""
        if self.transport.is_closing():
            return
        self._log(detail, status=status)
        self._refused = True
        if self.cycle and not self.cycle.response_complete:
            # The application receives "http.disconnect"; its response is dropped.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        is_answered = self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)
        if not is_answered:
            self._send_problem(status, detail)
        if is_answered or self._client_has_finished:
            self.transport.close()
        else:
            # Not close(): bytes that are not read would reset the connection, and the client would
            # lose the response.
            self.transport.write_eof()
            self.flow.resume_reading()
        self._update()

    def _send_problem(self, status: int, detail: str) -> None:
        response = problem(status, detail, headers={"Connection": "close"})
        headers = [*self.server_state.default_headers, *response.raw_headers]
        body = b"" if self.conn.method == b"HEAD" else bytes(response.body)
        events = (
            h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))

    def _log(self, reason: str, **extra: object) -> None:
        client = self.client[0] if self.client else None
        extra = {"reason": reason, "client": client, **extra, **log.REPEATS}
        contextvars.Context().run(partial(logger.warning, "connection closed", extra=extra))
