"""The gate as a whole, for tests: a stack of its own, asked over HTTP."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import httpx

from imageproof.contract import Contract
from imageproof.docker.client import Engine
from imageproof.docker.environment import temporary_environment
from imageproof.stack import compose
from tests.support.commands import wait_until

DONE_SECONDS = 300  # on a machine with other things to do, since jobs can wait
WORKERS = 4
TOKEN = secrets.token_hex(16)


@dataclass
class Gate:
    """The stack, asked as its users ask."""

    engine: Engine
    # One for all, since each makes a TLS context; with a connection for each request.
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
    )

    @cached_property
    def address(self) -> str:
        """Where the API answers. Docker is asked once: `moved` says that it was started again."""
        (container,) = self.engine.containers(["api"], stopped=False)
        (port,) = container["NetworkSettings"]["Ports"]["8000/tcp"]
        return f"http://127.0.0.1:{port['HostPort']}"

    def moved(self) -> None:
        """The API was started again: its free port is another one."""
        vars(self).pop("address", None)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, f"{self.address}{path}", **options)

    def submit(self, package: str, old: str, new: str, *, force: bool = False) -> str:
        body = {"package": package, "from": old, "to": new}
        answer = self.ask("POST", "/v1/reviews", json=body, params={"force": force})
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def review(self, id_: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/v1/reviews/{id_}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ended(self, id_: str) -> dict[str, Any]:
        """The review, when it is over."""
        seen: dict[str, Any] = {}

        def over() -> bool:
            seen.update(self.review(id_))
            return seen["status"] in ("done", "failed")

        wait_until(over, DONE_SECONDS, lambda: f"review {id_} does not end: {seen}")
        return seen

    def ready(self) -> bool:
        """Whether the API answers, and has its store."""
        try:
            return self.ask("GET", "/ready").status_code == 200
        except (httpx.HTTPError, ValueError):  # it does not listen, or has no port yet
            return False

    def all_ended(self, ids: list[str]) -> list[dict[str, Any]]:
        """All of these reviews, when they are over."""
        return [self.ended(id_) for id_ in ids]

    def containers(self, service: str) -> list[str]:
        return [container["Id"] for container in self.engine.containers([service], stopped=False)]


@contextlib.contextmanager
def started(contract: Contract, engine: Engine, project: str, **variables: str) -> Iterator[Gate]:
    """A stack with four workers that look often, taken down whatever happens."""
    usual = {"API_TOKEN": TOKEN, "API_RATE_LIMIT": "1000", "WORKER_POLL_INTERVAL": "0.2"}
    own = replace(engine, project=project, variables={**usual, **variables})
    try:
        compose.up(contract, own, quiet=True)
        with temporary_environment(own.variables):
            own.docker.compose.up(
                detach=True, no_build=True, quiet=True, scales={"worker": WORKERS}
            )
        wait_until(
            lambda: [state.ready for state in compose.states(own)] == [True] * (WORKERS + 2),
            60,
            "not every worker becomes healthy",
        )
        yield Gate(own)
    finally:
        compose.down(own, volumes=True, quiet=True)
