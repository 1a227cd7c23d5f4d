"""Tests of waiting until a stack has converged or failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imageproof.errors import EngineUnavailable
from imageproof.swarm import converge
from imageproof.swarm.converge import StackWatcher, updated_services
from imageproof.swarm.state import read_stack
from tests.support.fake_swarm import (
    LEADERLESS,
    NEW,
    OLD,
    Snapshot,
    commands,
    ended,
    fake_engine,
    spec,
    task,
)

RUNS = Snapshot((task("t1"),))
POSTED = Snapshot((task("t1"),), spec(NEW))  # the update has not started
DONE = Snapshot((task("t2", NEW),), spec(NEW), "completed")
LONG_AGO = "2026-01-01T00:00:00.123456789Z"


@pytest.fixture(autouse=True)
def _poll_without_pause(monkeypatch):
    monkeypatch.setattr(converge, "MIN_POLL_SECONDS", 0)


def _watch(*snapshots):
    """Watch a deployment that changes the only service, over these snapshots."""
    before = read_stack(fake_engine(RUNS), "till")
    updating = frozenset({"shop"}) if snapshots[0].spec == spec(NEW) else frozenset()
    return StackWatcher(fake_engine(*snapshots), "till", before, updating).wait(5)


def test_changed_containers_and_ports_are_an_update_but_replicas_are_not():
    before = read_stack(fake_engine(RUNS), "till")
    ports = {**spec(), "EndpointSpec": {"Mode": "vip"}}
    for other, expected in ((spec(NEW), {"shop"}), (ports, {"shop"}), (spec(replicas=3), set())):
        after = read_stack(fake_engine(RUNS.but(spec=other)), "till")
        assert updated_services(before, after) == expected
    assert updated_services({}, before) == set()


def test_waits_until_swarm_reports_the_update_completed(capsys):
    started = POSTED.but(update="updating", tasks=(task("t1"), task("t2", NEW, "starting")))
    monitoring = DONE.but(update="updating")
    services, failure = _watch(POSTED, started, monitoring, DONE)
    assert failure is None
    assert services["shop"].update == "completed"
    printed = capsys.readouterr().err
    assert "shop.1           starting on one" in printed
    assert "shop.1           running on one" in printed


def test_node_names_are_read_once():
    started = POSTED.but(update="updating", tasks=(task("t1"), task("t2", NEW, NodeID="n2")))
    engine = fake_engine(POSTED, started, started, DONE)
    StackWatcher(engine, "till", {}, frozenset({"shop"})).wait(5)
    calls = [call[:2] for call in engine.calls]
    assert (calls.count(("GET", "/services")), calls.count(("node", "ls"))) == (4, 1)


def test_waits_for_the_election_of_a_leader():
    assert _watch(POSTED, LEADERLESS, LEADERLESS, DONE)[1] is None
    with pytest.raises(EngineUnavailable):
        StackWatcher(fake_engine(LEADERLESS), "till", {}).wait(0)


def test_waits_for_swarms_rollback_and_reports_the_failure():
    message = "update rolled back due to failure or early termination of task t2"
    broken = ended("t2", error="task: non-zero exit (1)")
    started = POSTED.but(update="updating", tasks=(task("t1"), broken))
    rolling_back = Snapshot((task("t1"), broken), spec(OLD), "rollback_started", message)
    rolled_back = rolling_back.but(update="rollback_completed", message="rollback completed")
    services, failure = _watch(POSTED, started, rolling_back, rolled_back)
    assert services["shop"].update == "rollback_completed"
    assert failure.cause == "shop.1 on one is failed: task: non-zero exit (1)"
    assert failure.task.id == "t2"


def test_failure_shows_the_task_that_swarm_blames():
    message = "update rolled back due to failure or early termination of task t2"
    tasks = (task("t1"), ended("t2", error="first"), ended("t3", error="second"))
    rolling_back = Snapshot(tasks, spec(OLD), "rollback_started", message)
    rolled_back = rolling_back.but(update="rollback_completed", message="rollback completed")
    assert _watch(rolling_back, rolled_back)[1].task.id == "t2"


@pytest.mark.parametrize(
    ("update", "message"),
    [("paused", "Swarm paused the update"), ("rollback_paused", "the rollback failed too")],
)
def test_paused_update_or_rollback_is_a_failure(update, message):
    snapshot = DONE.but(update=update, tasks=(task("t1"), ended("t2")))
    assert message in _watch(snapshot)[1].cause


def test_task_pending_for_over_a_minute_is_a_failure():
    error = "no suitable node (scheduling constraints not satisfied on 3 nodes)"
    waiting = {"state": "pending", "NodeID": "", "error": error}
    soon = POSTED.but(update="updating", tasks=(task("t1"), task("t2", NEW, **waiting)))
    late = soon.but(tasks=(task("t1"), task("t2", NEW, **waiting, CreatedAt=LONG_AGO)))
    failure = _watch(soon, soon, late)[1]
    assert failure.cause == f"no node for shop.1: {error}"


def test_task_pending_for_45_seconds_is_no_failure():
    created = (datetime.now(tz=UTC) - timedelta(seconds=45)).isoformat().replace("+00:00", "123Z")
    waiting = task("t2", NEW, state="pending", NodeID="", CreatedAt=created)
    assert _watch(POSTED.but(update="updating", tasks=(task("t1"), waiting)), DONE)[1] is None


def test_new_service_that_ends_three_times_is_a_failure():
    broken = tuple(ended(f"t{n}", error="exit (2)") for n in range(3))
    last = task("t9", NEW, "starting")
    engine = fake_engine(
        Snapshot((*broken[:1], last), spec(NEW)),
        Snapshot((*broken[:2], last), spec(NEW)),
        Snapshot((*broken, last), spec(NEW)),
    )
    failure = StackWatcher(engine, "till", {}).wait(5)[1]
    assert failure.cause == "shop.1 on one is failed: exit (2); it was started 3 times"


# --- duplicate tasks


TWICE = RUNS.but(tasks=(task("t2"), task("t3")))
UNSCHEDULABLE = task(
    "t3", state="pending", NodeID="", error="host-mode port already in use on 3 nodes"
)
STUCK = RUNS.but(tasks=(task("t2"), UNSCHEDULABLE), update="rollback_started")


@pytest.mark.parametrize("snapshot", [TWICE, TWICE.but(update="rollback_completed"), STUCK])
def test_swarm_reconciles_duplicate_tasks_once(monkeypatch, capsys, snapshot):
    monkeypatch.setattr(converge, "MAX_DUPLICATE_SECONDS", -1)
    engine = fake_engine(snapshot, snapshot, snapshot, RUNS.but(update="updating"), DONE)
    watch = StackWatcher(engine, "till", read_stack(fake_engine(RUNS), "till"), frozenset({"shop"}))
    services, failure = watch.wait(5)
    (command,) = commands(engine)
    assert command.startswith("service update --detach --label-add=imageproof.reconciled-at=")
    assert command.endswith(" till_shop")
    assert "shop: two tasks in one slot" in capsys.readouterr().err
    assert services["shop"].settled
    # Reconciled or not, a deployment that Swarm rolled back has failed.
    assert bool(failure) == bool(snapshot.update)


def test_swarm_has_time_to_remove_a_duplicate_itself():
    engine = fake_engine(TWICE, TWICE, RUNS)
    assert StackWatcher(engine, "till", read_stack(fake_engine(RUNS), "till")).wait(5)[1] is None
    assert not list(commands(engine))


def test_timeout_reports_the_running_tasks():
    engine = fake_engine(Snapshot((task("t1", state="starting"),), spec(replicas=2)))
    failure = StackWatcher(engine, "till", {}).wait(0)[1]
    assert failure.cause == "shop: 0 of 2 tasks running after 0 s; shop.1 on one is starting"


def test_task_that_swarm_stopped_is_described_as_unhealthy():
    tasks = (task("t1"), ended("t2", state="complete"))
    rolled_back = Snapshot(tasks, spec(OLD), "rollback_completed")
    assert "was unhealthy" in _watch(rolled_back)[1].cause


def test_failure_shows_no_secret():
    tasks = (task("t1"), ended("t2", error="API_TOKEN=hunter2hunter2 is refused"))
    failure = _watch(Snapshot(tasks, spec(OLD), "rollback_completed"))[1]
    assert "hunter2" not in failure.cause
