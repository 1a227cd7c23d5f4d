"""A client that asks all the while, one node after the other, and counts what fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 10.0
PATHS = ("/health", "/v1/reviews?limit=1")
PAUSE_SECONDS = 0.05  # of a client between two requests


@dataclass
class Load:
    """Constant requests to whichever node serves, as a load balancer would send them.

    A node that refuses the connection, or does not take it in time, is passed over, and the next
    one is asked: nothing was sent to it yet. Everything else that is no 200 is a failure, and so
    is a round in which no node takes it. A connection a request, since a balancer closes those of
    a node that it gives up.
    """

    addresses: Sequence[str]
    token: str
    served: int = 0
    passed_over: int = 0
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds between two good answers
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until `stop`."""
        last, turn = time.monotonic(), 0
        with httpx.Client(
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        ) as client:
            while not self._stop.is_set():
                turn += 1
                failure = self._ask(client, turn)
                now = time.monotonic()
                if failure:
                    self.failures.append(failure)
                else:
                    self.served += 1
                    self.longest, last = max(self.longest, now - last), now
                self._stop.wait(PAUSE_SECONDS)

    def stop(self) -> None:
        self._stop.set()

    def _ask(self, client: httpx.Client, turn: int) -> str:
        """Why a request failed; empty where it was served."""
        path = PATHS[turn % len(PATHS)]
        nodes = len(self.addresses)
        for number in range(nodes):
            address = self.addresses[(turn + number) % nodes]
            try:
                answer = client.get(f"http://{address}{path}")
            except (httpx.ConnectError, httpx.ConnectTimeout):
                self.passed_over += 1
                continue
            except httpx.HTTPError as error:
                return f"{path}: {type(error).__name__}: {error}"
            return "" if answer.status_code == 200 else f"{path}: {answer.status_code}"
        return f"{path}: no node takes a connection"
