"""A stack of the API, the cache and four workers, used over HTTP as clients use it."""

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
from imageproof.stack import compose
from imageproof.stack.states import states
from tests.support.commands import wait_until

REVIEW_SECONDS = 300  # jobs may wait, and the machine may be busy with other tests
WORKERS = 4
TOKEN = secrets.token_hex(16)


def _client() -> httpx.Client:
    # One client, because each makes a TLS context; but a new connection for each request.
    return httpx.Client(
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


@dataclass
class ReviewStack:
    """A running stack and a client of its API."""

    engine: Engine
    client: httpx.Client = field(default_factory=_client)

    @cached_property
    def address(self) -> str:
        """Address of the API. Docker is queried once; see `forget_address`."""
        (container,) = self.engine.containers(["api"], stopped=False)
        (port,) = container["NetworkSettings"]["Ports"]["8000/tcp"]
        return f"http://127.0.0.1:{port['HostPort']}"

    def forget_address(self) -> None:
        """Query Docker again: the port changes when the API's container is started again."""
        vars(self).pop("address", None)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to the API; `options` are those of httpx."""
        return self.client.request(method, f"{self.address}{path}", **options)

    def submit(self, package: str, old: str, new: str, *, force: bool = False) -> str:
        """Request a review of an upgrade; return its id."""
        body = {"package": package, "from": old, "to": new}
        response = self.request("POST", "/v1/reviews", json=body, params={"force": force})
        assert response.status_code in (200, 202), response.text
        return str(response.json()["id"])

    def review(self, id_: str) -> dict[str, Any]:
        """Return a review as the API reports it now."""
        response = self.request("GET", f"/v1/reviews/{id_}")
        assert response.status_code == 200, response.text
        review: dict[str, Any] = response.json()
        return review

    def status(self, id_: str) -> str:
        """Return a review's status."""
        return str(self.review(id_)["status"])

    def wait_for_review(self, id_: str) -> dict[str, Any]:
        """Wait until a review is done or failed; return it."""
        review: dict[str, Any] = {}

        def has_ended() -> bool:
            review.update(self.review(id_))
            return review["status"] in ("done", "failed")

        wait_until(has_ended, REVIEW_SECONDS, lambda: f"review {id_} did not end: {review}")
        return review

    def wait_for_reviews(self, ids: list[str]) -> list[dict[str, Any]]:
        """Wait until all reviews are done or failed; return them."""
        return [self.wait_for_review(id_) for id_ in ids]

    def is_ready(self) -> bool:
        """Return whether the API answers and reaches its store."""
        try:
            return self.request("GET", "/ready").status_code == 200
        except (httpx.HTTPError, ValueError):  # not listening, or no published port yet
            return False

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return [container["Id"] for container in self.engine.containers([service], stopped=False)]


@contextlib.contextmanager
def running_stack(
    contract: Contract, engine: Engine, project: str, **variables: str
) -> Iterator[ReviewStack]:
    """Start a stack with four workers that poll often; remove it at the end.

    Args:
        contract: the contract of this repository.
        engine: client with the stack's compose files.
        project: name of the Compose project.
        variables: settings of the services.
    """
    defaults = {"API_TOKEN": TOKEN, "API_RATE_LIMIT": "1000", "WORKER_POLL_INTERVAL": "0.2"}
    own = replace(engine, project=project, variables={**defaults, **variables})
    try:
        compose.up(contract, own, quiet=True)
        scale = ("--detach", "--no-build", "--scale", f"worker={WORKERS}")
        own.compose("starting the workers", "up", *scale)
        wait_until(
            lambda: [state.ready for state in states(own)] == [True] * (WORKERS + 2),
            60,
            "a container did not become healthy",
        )
        yield ReviewStack(own)
    finally:
        compose.down(own, volumes=True, quiet=True)
