"""The stack on the swarm: its deployment by the commands, and its HTTP clients."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from imageproof.contract import load
from imageproof.release import manifest
from tests.support.commands import ROOT, Outcome, inv
from tests.support.npm_registry import Registry
from tests.swarm.cluster import Node, Swarm
from tests.swarm.load import Load

STACK = "gate"
TOKEN = "0123456789abcdef"  # API_TOKEN of this stack
API_REPLICAS, WORKER_REPLICAS = 2, 3
CLIENTS = 2
Pushed = tuple[str, str]  # reference, digest


@dataclass(frozen=True)
class Images:
    """Pushed images: one per service of the contract, and other versions of the API."""

    first: Mapping[str, Pushed]  # the first release
    better: Pushed  # healthy
    broken: Pushed  # never healthy
    probe: str  # base of the probe; only in the manager's engine

    def with_api(self, api: Pushed) -> dict[str, Pushed]:
        return {**self.first, "api": api}


@dataclass
class Stack:
    """Commands and clients of the stack."""

    swarm: Swarm
    images: Images
    npm: Registry
    folder: Path

    def inv(self, *arguments: str, **variables: str) -> Outcome:
        defaults = {
            "DOCKER_HOST": self.swarm.manager.host,
            "PYTHON_BASE": self.images.probe,
            "API_PORT_MODE": "host",
            "API_ENDPOINT_MODE": "dnsrr",
            "API_REPLICAS": str(API_REPLICAS),
            "WORKER_REPLICAS": str(WORKER_REPLICAS),
            "API_RATE_LIMIT": "1000",
            "UPDATE_MONITOR": "15s",
            "API_TOKEN": TOKEN,
            "WORKER_POLL_INTERVAL": "0.2",
            "ARTIFACTORY_URL": self.npm.address,
        }
        return inv(*arguments, **{**defaults, **variables})

    def deploy(self, images: Mapping[str, Pushed], *options: str, **variables: str) -> Outcome:
        file = self.folder / "release.json"
        manifest.write(_release(images), file)
        return self.inv("deploy", "--name", STACK, "--release", str(file), *options, **variables)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return the services of `status --format json` by name."""
        outcome = self.inv("status", "--name", STACK, "--format", "json")
        assert outcome.status == 0, outcome.messages
        return {service["service"]: service for service in json.loads(outcome.output)}

    def nodes_of(self, service: str) -> list[str]:
        """Return the nodes on which the service's tasks run."""
        return nodes_of(self.status()[service])

    def request(
        self, method: str, path: str, *, token: str = TOKEN, **options: Any
    ) -> httpx.Response:
        """Send a request to the first node that accepts the connection."""
        return self.swarm.inside.submit(self._request, method, path, token, options).result()

    def _request(self, method: str, path: str, token: str, options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        for node in self.swarm.nodes:
            with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return self.request_node(node, method, path, headers=headers, **options)
        raise AssertionError(f"{path}: no node accepts a connection")

    @staticmethod
    def request_node(node: Node, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to one node. Only threads in the hub can reach it."""
        timeout = httpx.Timeout(10, connect=1)
        address = f"http://{node.address}:8000{path}"
        return httpx.request(method, address, timeout=timeout, trust_env=False, **options)

    def submit(self, package: str) -> str:
        body = {"package": package, "from": "1.0.0", "to": "1.1.0"}
        response = self.request("POST", "/v1/reviews?force=true", json=body)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def review(self, id_: str) -> dict[str, Any]:
        review: dict[str, Any] = self.request("GET", f"/v1/reviews/{id_}").json()
        return review

    @contextlib.contextmanager
    def under_load(self) -> Iterator[list[Load]]:
        """Run clients that send requests all the time inside the block, and yield them."""
        addresses = [f"{node.address}:8000" for node in self.swarm.nodes]
        clients = [Load(addresses, TOKEN) for _ in range(CLIENTS)]
        running: list[Future[None]] = [self.swarm.inside.submit(client.run) for client in clients]
        try:
            yield clients
        finally:
            for client in clients:
                client.stop()
            for future in running:
                future.result(timeout=60)


def nodes_of(service: Mapping[str, Any]) -> list[str]:
    """Return the nodes on which `status` shows running tasks of a service."""
    return [
        task["node"]
        for task in service["tasks"]
        if (task["state"], task["desired"]) == ("running", "running")
    ]


def _release(images: Mapping[str, Pushed]) -> manifest.Release:
    no_digest = f"sha256:{0:064x}"  # nothing in the deployment reads it
    return manifest.Release(
        schema=1,
        created=datetime.now(tz=UTC),
        revision="",
        base=manifest.Base(reference=load(ROOT).base.local_tag, digest=no_digest),
        images={
            name: manifest.ReleasedImage(
                reference=reference,
                digest=digest,
                contract=manifest.ContractResult(digest=no_digest, passed=1),
            )
            for name, (reference, digest) in images.items()
        },
    )
