"""Tests of the state of a stack: settled services, duplicate tasks, nodes, managers."""

from __future__ import annotations

import pytest

from imageproof.errors import MachineError
from imageproof.swarm.state import read_stack, require_manager
from tests.support.fake_swarm import NEW, Snapshot, ended, fake_engine, spec, task

RUNS = Snapshot((task("t1"),))
POSTED = Snapshot((task("t1"),), spec(NEW))  # the update has not started
DONE = Snapshot((task("t2", NEW),), spec(NEW), "completed")
TWICE = RUNS.but(tasks=(task("t2"), task("t3")))
UNSCHEDULABLE = task(
    "t3", state="pending", NodeID="", error="host-mode port already in use on 3 nodes"
)
STUCK = RUNS.but(tasks=(task("t2"), UNSCHEDULABLE), update="rollback_started")


def _shop(snapshot):
    """Return the only service of a snapshot."""
    return read_stack(fake_engine(snapshot), "till")["shop"]


@pytest.mark.parametrize(
    ("snapshot", "settled"),
    [
        (RUNS, True),
        (DONE, True),
        (POSTED, False),  # the old version runs
        (RUNS.but(spec=spec(replicas=2)), False),
        (RUNS.but(tasks=(task("t1"), task("t2"))), False),
        (RUNS.but(tasks=(task("t1", state="starting"),)), False),
        (RUNS.but(tasks=(task("t1"), ended("t0"))), True),  # history
        (DONE.but(update="updating"), False),
        (DONE.but(update="paused"), False),
        (DONE.but(update="rollback_started"), False),
        (RUNS.but(update="rollback_completed"), True),
        (RUNS.but(spec={**spec(), "Mode": {"Global": {}}}), True),
    ],
)
def test_service_is_settled_when_the_wanted_tasks_run_with_the_current_spec(snapshot, settled):
    assert _shop(snapshot).settled is settled


def test_omitted_empty_settings_are_no_difference():
    without_dns = task("t1")
    del without_dns["Spec"]["ContainerSpec"]["DNSConfig"]
    assert _shop(RUNS.but(tasks=(without_dns,))).settled


@pytest.mark.parametrize(
    ("tasks", "duplicate"),
    [
        (TWICE.tasks, True),
        (STUCK.tasks, True),
        ((task("t2"),), False),
        ((task("t2"), task("t3", Slot=2)), False),
        ((task("t2"), ended("t3")), False),
        ((task("t2"), task("t3", state="starting")), False),  # an update is in progress
        ((task("t2", NEW), task("t3", state="pending")), False),  # an update waits for a node
        ((task("t2", state="pending"), task("t3", state="pending")), False),
        ((task("t2", Slot=0), task("t3", Slot=0)), False),  # global
    ],
)
def test_duplicate_tasks_are_those_that_no_update_explains(tasks, duplicate):
    assert _shop(RUNS.but(tasks=tasks)).has_duplicate_tasks is duplicate


@pytest.mark.parametrize(("known_node", "reads"), [("n1", 0), ("n2", 1)])
def test_node_names_are_read_again_for_an_unknown_node(known_node, reads):
    engine = fake_engine(RUNS)
    read_stack(engine, "till", {known_node: "a name"})
    assert [call[:2] for call in engine.calls].count(("node", "ls")) == reads


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ('{"LocalNodeState": "inactive", "ControlAvailable": false}', "docker swarm init"),
        ('{"LocalNodeState": "active", "ControlAvailable": false}', "--host"),
        ("null", "docker swarm init"),
    ],
)
def test_engine_that_is_no_manager_is_a_machine_error(answer, hint):
    with pytest.raises(MachineError) as caught:
        require_manager(fake_engine(RUNS, manager=answer))
    assert caught.value.status == 3
    assert hint in (caught.value.hint or "")
