"""Load balancer with one client: sends requests to the ready nodes, and counts failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

CHECK_SECONDS = 0.5  # between two checks of /ready
TIMEOUT = httpx.Timeout(10, connect=1)
PATHS = ("/health", "/v1/reviews?limit=1")
PAUSE_SECONDS = 0.05  # between two requests


@dataclass
class Load:
    """Constant requests to the nodes in turn, as a load balancer with health checks sends them.

    A node is in rotation while its /ready answers 200. Each request opens a connection and is sent
    once: a refused or reset connection, any status but 200, and an empty rotation are failures.
    """

    addresses: Sequence[str]
    token: str
    served: int = 0
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds between two successful responses
    _ready: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send requests until `stop`."""
        last_success, turn = time.monotonic(), 0
        with httpx.Client(
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUT,
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        ) as client:
            self._check(client)
            # The thread starts in this thread's network namespace.
            checks = threading.Thread(target=self._keep_checking, args=[client])
            checks.start()
            while not self._stop.is_set():
                turn += 1
                failure = self._send(client, turn)
                now = time.monotonic()
                if failure:
                    self.failures.append(failure)
                else:
                    self.served += 1
                    self.longest = max(self.longest, now - last_success)
                    last_success = now
                self._stop.wait(PAUSE_SECONDS)
            checks.join()

    def stop(self) -> None:
        self._stop.set()

    def _send(self, client: httpx.Client, turn: int) -> str:
        """Return the reason why a request failed; empty if it was served."""
        path = PATHS[turn % len(PATHS)]
        if not (ready := self._ready):
            return f"{path}: no node is ready"
        address = ready[turn % len(ready)]
        try:
            response = client.get(f"http://{address}{path}")
        except httpx.HTTPError as error:
            return f"{address}{path}: {type(error).__name__}: {error}"
        return "" if response.status_code == 200 else f"{address}{path}: {response.status_code}"

    def _keep_checking(self, client: httpx.Client) -> None:
        while not self._stop.wait(CHECK_SECONDS):
            self._check(client)

    def _check(self, client: httpx.Client) -> None:
        self._ready = [address for address in self.addresses if _is_ready(client, address)]


def _is_ready(client: httpx.Client, address: str) -> bool:
    try:
        return client.get(f"http://{address}/ready").status_code == 200
    except httpx.HTTPError:
        return False
