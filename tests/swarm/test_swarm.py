"""The stack on three nodes: deployed by digest, updated under load, taken back, moved, rotated.

Each test begins at the first release. What is measured is said in docs/swarm.md.
"""

from __future__ import annotations

import logging
import threading
import time

import pytest

from imageproof.docker.client import Engine, environment
from tests.support.commands import wait_until
from tests.swarm.gate import API_REPLICAS, STACK, TOKEN, WORKER_REPLICAS, nodes_of

MOVED_SECONDS = 60  # a node that is gone: until its tasks run elsewhere
ENDED_SECONDS = 120
BACK_SECONDS = 120  # a node whose link is whole again; swarmkit's agents wait longer each time
STATUS_SECONDS = 1.0  # between two looks by `inv status`
JOBS = 12
BEFORE = {"index.js": b"module.exports = 1;\n"}
AFTER = {"index.js": b"module.exports = 2;\n"}

log = logging.getLogger(__name__)
pytestmark = pytest.mark.timeout(240)


def _no_failure(clients) -> None:
    for client in clients:
        log.info("%d requests served, at most %.2f s apart", client.served, client.longest)
        assert client.failures == []
        assert client.served > 50


def test_a_release_runs_by_its_digests_and_keeps_the_contract(gate, swarm, images):
    status = gate.status()
    for name, (reference, digest) in images.first.items():
        pinned = f"{reference.rpartition(':')[0]}@{digest}"
        assert {task["image"] for task in status[name]["tasks"]} == {pinned}
        assert status[name]["settled"]
    running = {name: service["running"] for name, service in status.items()}
    assert running == {"api": API_REPLICAS, "cache": 1, "worker": WORKER_REPLICAS}
    assert gate.nodes_of("cache") == [swarm.manager.name]
    assert sorted(gate.nodes_of("worker")) == [node.name for node in swarm.nodes]
    for name in gate.nodes_of("api"):
        answer = swarm.inside.submit(gate.ask_node, swarm.node(name), "GET", "/ready").result()
        assert answer.status_code == 200
    verified = gate.inv("verify", "--stack", STACK)
    assert verified.status == 0, verified.output
    assert "✓ pass     run.no-new-privileges" in verified.output


def test_a_rolling_update_fails_no_request(gate, images):
    plan = gate.deploy(images.with_api(images.better), "--plan")
    old, new = (f"@{digest}" for _, digest in (images.first["api"], images.better))
    changes = [line.split() for line in plan.output.splitlines()]
    assert [line[:2] for line in changes] == [
        ["api", "changed"],
        ["image:", changes[1][1]],
        ["cache", "unchanged"],
        ["worker", "unchanged"],
    ]
    assert old in plan.output
    assert new in plan.output
    assert gate.status()["api"]["image"].endswith(old)  # a plan changes nothing
    with gate.under_load() as clients:
        outcome = gate.deploy(images.with_api(images.better))
    assert outcome.status == 0, outcome.messages
    assert {task["image"].partition("@")[2] for task in gate.status()["api"]["tasks"]} == {new[1:]}
    _no_failure(clients)
    assert "changed" not in gate.deploy(images.with_api(images.better), "--plan").output.split()

    with gate.under_load() as clients:
        back = gate.inv("rollback", "--name", STACK)
    assert back.status == 0, back.messages
    assert gate.status()["api"]["image"].endswith(old)
    _no_failure(clients)


def test_an_update_that_never_becomes_healthy_is_taken_back_by_itself(gate, images):
    with gate.under_load() as clients:
        outcome = gate.deploy(images.with_api(images.broken), POLICY_THRESHOLD="0.5")
    assert outcome.status == 1
    assert "✗ deploying gate: api." in outcome.messages
    assert " on node" in outcome.messages
    assert "Swarm took api back to what it was" in outcome.messages
    assert "│ log: " in outcome.messages
    assert "Traceback" not in outcome.messages
    _no_failure(clients)
    # What the same deployment changed of another service is taken back with it.
    assert "taken back as well: worker" in outcome.messages
    status = gate.status()
    assert status["api"]["image"].endswith(images.first["api"][1])
    assert all(service["settled"] for service in status.values())
    assert "changed" not in gate.deploy(images.first, "--plan").output.split()


def test_a_value_that_a_service_refuses_is_told_in_its_own_words(gate):
    outcome = gate.deploy(gate.images.first, POLICY_THRESHOLD="7")
    assert outcome.status == 1
    assert "✗ deploying gate: worker." in outcome.messages
    assert "is failed: task: non-zero exit (2); Swarm took worker back" in outcome.messages
    assert "│ log: configuration: POLICY_THRESHOLD must be" in outcome.messages
    assert all(service["settled"] for service in gate.status().values())


def test_a_node_that_is_cut_off_loses_no_job_and_its_tasks_move(gate, swarm, npm):
    """Each worker has a job when the link of a node that has one is pulled."""
    opened = threading.Event()
    npm.publish("1.0.0", BEFORE, package="held")
    path = npm.publish("1.1.0", AFTER, package="held")
    answer = npm.answers[path]

    def held(handler) -> None:
        opened.wait(60)
        answer(handler)

    npm.answers[path] = held
    api = gate.nodes_of("api")
    candidates = sorted(set(gate.nodes_of("worker")) - {swarm.manager.name})
    node = swarm.node(max(candidates, key=api.count))
    ids = [gate.submit("held") for _ in range(JOBS)]

    def taken() -> int:
        return sum(gate.review(id_)["status"] == "running" for id_ in ids)

    try:
        wait_until(lambda: taken() == WORKER_REPLICAS, 30, "not every worker takes a job")
        swarm.link(node, "down")
        pulled = time.monotonic()
        opened.set()

        def moved() -> bool:
            return all(
                service["settled"] and node.name not in nodes_of(service)
                for service in gate.status().values()
            )

        elsewhere = f"the tasks of {node.name} do not run elsewhere"
        wait_until(moved, MOVED_SECONDS, elsewhere, STATUS_SECONDS)
        took = time.monotonic() - pulled
        seen = {}

        def ended() -> bool:
            seen.update({id_: gate.review(id_) for id_ in ids})
            return {review["status"] for review in seen.values()} == {"done"}

        wait_until(ended, ENDED_SECONDS, f"not every job ends: {seen}")
        attempts = sorted(review["attempts"] for review in seen.values())
        assert attempts[-1] > 1, "the worker that was cut off had no job"
        took_all = time.monotonic() - pulled
        log.info("moved after %.1f s, all jobs ended after %.1f s: %s", took, took_all, attempts)
    finally:
        opened.set()
        swarm.link(node, "up")
    plugged = time.monotonic()
    wait_until(lambda: swarm.ready(node), BACK_SECONDS, f"{node.name} does not come back")
    log.info("%s is back after %.1f s", node.name, time.monotonic() - plugged)

    def ended_there() -> bool:
        names = node.docker("ps", "--format", "{{.Names}}", "--filter", "name=gate_")
        wanted = [name for service in gate.status().values() for name in nodes_of(service)]
        return len(names.splitlines()) == wanted.count(node.name)

    wait_until(
        ended_there, BACK_SECONDS, f"{node.name} goes on with tasks of elsewhere", STATUS_SECONDS
    )
    log.info("%s has no old task after %.1f s", node.name, time.monotonic() - plugged)


def test_another_secret_is_a_rolling_update_and_is_shown_nowhere(gate, images, swarm):
    other = "fedcba9876543210"
    names = _secrets(swarm)
    plan = gate.deploy(images.first, "--plan", API_TOKEN=other)
    assert "secret api_token: gate_api_token_" in plan.output
    outcome = gate.deploy(images.first, API_TOKEN=other)
    assert outcome.status == 0, outcome.messages
    assert gate.ask("GET", "/v1/reviews", token=other).status_code == 200
    assert gate.ask("GET", "/v1/reviews", token=TOKEN).status_code == 401
    # The old one is kept for a rollback, and goes with the next deployment.
    assert len(_secrets(swarm) - names) == 1
    assert names <= _secrets(swarm)
    again = gate.deploy(images.first, API_TOKEN=other)
    assert len(names - _secrets(swarm)) == 1
    for said in (plan, outcome, again):
        assert TOKEN not in said.output + said.messages
        assert other not in said.output + said.messages


def _secrets(swarm) -> set[str]:
    return set(swarm.manager.docker("secret", "ls", "--format", "{{.Name}}").split())


def test_a_stack_or_an_engine_that_is_not_there_is_said(gates, swarm, tmp_path):
    assert gates.inv("status", "--name", "nobodys").status == 2
    assert gates.inv("verify", "--stack", "nobodys").status == 2
    assert gates.inv("status", "--host", f"unix://{tmp_path}/nobody.sock").status == 3
    with environment({"DOCKER_HOST": swarm.manager.host}):
        assert Engine(()).tasks(["nobodys"]) == []
