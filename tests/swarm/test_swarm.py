"""Tests of the stack on three nodes: deployment, updates under load, rollback, lost nodes, secrets.

Each test starts at the first release. docs/swarm.md lists the measured times.
"""

from __future__ import annotations

import logging
import threading
import time

import pytest

from tests.support.commands import wait_until
from tests.swarm.stack import API_REPLICAS, STACK, TOKEN, WORKER_REPLICAS, nodes_of

MAX_MOVE_SECONDS = 60  # from the loss of a node until its tasks run on other nodes
MAX_JOBS_SECONDS = 120  # until all jobs are done
MAX_RECONNECT_SECONDS = 120  # swarmkit's agents back off
STATUS_INTERVAL_SECONDS = 1.0  # between two calls of `inv status`
JOBS = 12
BEFORE = {"index.js": b"module.exports = 1;\n"}
AFTER = {"index.js": b"module.exports = 2;\n"}

log = logging.getLogger(__name__)
pytestmark = pytest.mark.timeout(240)


def _assert_no_failures(clients) -> None:
    for client in clients:
        log.info("%d requests served, at most %.2f s apart", client.served, client.longest)
        assert client.failures == []
        assert client.served > 50


def test_release_runs_by_digest_and_passes_verify(stack, swarm, images):
    status = stack.status()
    for name, (reference, digest) in images.first.items():
        pinned = f"{reference.rpartition(':')[0]}@{digest}"
        assert {task["image"] for task in status[name]["tasks"]} == {pinned}
        assert status[name]["settled"]
    running = {name: service["running"] for name, service in status.items()}
    assert running == {"api": API_REPLICAS, "cache": 1, "worker": WORKER_REPLICAS}
    assert stack.nodes_of("cache") == [swarm.manager.name]
    assert sorted(stack.nodes_of("worker")) == [node.name for node in swarm.nodes]
    for name in stack.nodes_of("api"):
        request = swarm.inside.submit(stack.request_node, swarm.node(name), "GET", "/ready")
        assert request.result().status_code == 200
    verified = stack.inv("verify", "--stack", STACK)
    assert verified.status == 0, verified.output
    assert "✓ pass     run.no-new-privileges" in verified.output


def test_rolling_update_and_rollback_fail_no_request(stack, images):
    plan = stack.deploy(images.with_api(images.better), "--plan")
    old_digest, new_digest = images.first["api"][1], images.better[1]
    changes = [line.split() for line in plan.output.splitlines()]
    assert changes.pop()[0] == "release"  # what the deployment records
    assert [line[:2] for line in changes] == [
        ["api", "changed"],
        ["image:", changes[1][1]],
        ["cache", "unchanged"],
        ["worker", "unchanged"],
    ]
    assert f"@{old_digest}" in plan.output
    assert f"@{new_digest}" in plan.output
    assert stack.status()["api"]["image"].endswith(f"@{old_digest}")  # --plan changes nothing
    with stack.under_load() as clients:
        outcome = stack.deploy(images.with_api(images.better))
    assert outcome.status == 0, outcome.messages
    tasks = stack.status()["api"]["tasks"]
    assert {task["image"].partition("@")[2] for task in tasks} == {new_digest}
    _assert_no_failures(clients)
    assert "changed" not in stack.deploy(images.with_api(images.better), "--plan").output.split()

    with stack.under_load() as clients:
        rollback = stack.inv("rollback", "--name", STACK)
    assert rollback.status == 0, rollback.messages
    assert stack.status()["api"]["image"].endswith(f"@{old_digest}")
    _assert_no_failures(clients)


def test_update_that_never_becomes_healthy_is_rolled_back(stack, images):
    with stack.under_load() as clients:
        outcome = stack.deploy(images.with_api(images.broken), POLICY_THRESHOLD="0.5")
    assert outcome.status == 1
    assert "✗ deploying gate: api." in outcome.messages
    assert " on node" in outcome.messages
    assert "Swarm rolled back api" in outcome.messages
    assert "│ log: " in outcome.messages
    assert "Traceback" not in outcome.messages
    _assert_no_failures(clients)
    # The deployment's change of another service is rolled back too.
    assert "also rolled back: worker" in outcome.messages
    status = stack.status()
    assert status["api"]["image"].endswith(images.first["api"][1])
    assert all(service["settled"] for service in status.values())
    assert "changed" not in stack.deploy(images.first, "--plan").output.split()


def test_invalid_setting_is_reported_with_the_services_log(stack):
    outcome = stack.deploy(stack.images.first, POLICY_THRESHOLD="7")
    assert outcome.status == 1
    assert "✗ deploying gate: worker." in outcome.messages
    assert "is failed: task: non-zero exit (2); Swarm rolled back worker" in outcome.messages
    assert "│ log: configuration: POLICY_THRESHOLD must be" in outcome.messages
    assert all(service["settled"] for service in stack.status().values())


def test_lost_node_loses_no_job_and_its_tasks_move(stack, swarm, npm):
    """Cut a node's link while every worker waits for the npm registry."""
    opened = threading.Event()
    npm.publish("1.0.0", BEFORE, package="held")
    path = npm.publish("1.1.0", AFTER, package="held")
    reply = npm.replies[path]

    def reply_when_opened(handler) -> None:
        opened.wait(60)
        reply(handler)

    npm.replies[path] = reply_when_opened
    api_nodes = stack.nodes_of("api")
    candidates = sorted(set(stack.nodes_of("worker")) - {swarm.manager.name})
    node = swarm.node(max(candidates, key=api_nodes.count))
    ids = [stack.submit("held") for _ in range(JOBS)]

    def count_running() -> int:
        return sum(stack.review(id_)["status"] == "running" for id_ in ids)

    try:
        wait_until(
            lambda: count_running() == WORKER_REPLICAS, 30, "not every worker has claimed a job"
        )
        swarm.link(node, "down")
        lost_at = time.monotonic()
        opened.set()

        def tasks_moved() -> bool:
            return all(
                service["settled"] and node.name not in nodes_of(service)
                for service in stack.status().values()
            )

        failure = f"the tasks of {node.name} do not run on other nodes"
        wait_until(tasks_moved, MAX_MOVE_SECONDS, failure, STATUS_INTERVAL_SECONDS)
        moved_after = time.monotonic() - lost_at
        reviews = {}

        def jobs_done() -> bool:
            reviews.update({id_: stack.review(id_) for id_ in ids})
            return {review["status"] for review in reviews.values()} == {"done"}

        wait_until(jobs_done, MAX_JOBS_SECONDS, f"not every job is done: {reviews}")
        attempts = sorted(review["attempts"] for review in reviews.values())
        assert attempts[-1] > 1, "the worker of the lost node had no job"
        done_after = time.monotonic() - lost_at
        log.info(
            "moved after %.1f s, jobs done after %.1f s: %s", moved_after, done_after, attempts
        )
    finally:
        opened.set()
        swarm.link(node, "up")
    restored_at = time.monotonic()
    wait_until(lambda: swarm.ready(node), MAX_RECONNECT_SECONDS, f"{node.name} is not ready again")
    log.info("%s is ready after %.1f s", node.name, time.monotonic() - restored_at)

    def old_tasks_ended() -> bool:
        names = node.docker("ps", "--format", "{{.Names}}", "--filter", "name=gate_")
        wanted = [name for service in stack.status().values() for name in nodes_of(service)]
        return len(names.splitlines()) == wanted.count(node.name)

    wait_until(
        old_tasks_ended,
        MAX_RECONNECT_SECONDS,
        f"{node.name} still runs moved tasks",
        STATUS_INTERVAL_SECONDS,
    )
    log.info("%s runs no old task after %.1f s", node.name, time.monotonic() - restored_at)


def test_changed_secret_is_a_rolling_update_and_is_never_shown(stack, images, swarm):
    other = "fedcba9876543210"  # token
    secrets_before = _secrets(swarm)
    plan = stack.deploy(images.first, "--plan", API_TOKEN=other)
    assert "secret api_token: gate_api_token_" in plan.output
    outcome = stack.deploy(images.first, API_TOKEN=other)
    assert outcome.status == 0, outcome.messages
    assert stack.request("GET", "/v1/reviews", token=other).status_code == 200
    assert stack.request("GET", "/v1/reviews", token=TOKEN).status_code == 401
    assert len(_secrets(swarm) - secrets_before) == 1
    repeated = stack.deploy(images.first, API_TOKEN=other)
    # The old secret stays as long as a recorded release uses it.
    assert secrets_before <= _secrets(swarm)
    for text in (r.output + r.messages for r in (plan, outcome, repeated)):
        assert TOKEN not in text
        assert other not in text


def _secrets(swarm) -> set[str]:
    return set(swarm.manager.docker("secret", "ls", "--format", "{{.Name}}").split())


def test_absent_stack_and_engine_have_their_exit_statuses(any_stack, tmp_path):
    assert any_stack.inv("status", "--name", "absent").status == 2
    assert any_stack.inv("verify", "--stack", "absent").status == 2
    assert any_stack.inv("status", "--host", f"unix://{tmp_path}/absent.sock").status == 3
