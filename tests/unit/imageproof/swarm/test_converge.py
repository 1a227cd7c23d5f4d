"""imageproof.swarm.converge: when a stack is what it shall be, and when it never will be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imageproof.errors import EngineUnavailable
from imageproof.swarm import converge
from imageproof.swarm.converge import Watch, changed, is_another, last_words
from imageproof.swarm.state import read
from tests.support.fake_swarm import LEADERLESS, NEW, OLD, Moment, commands, ended, spec, task, told

RUNS = Moment((task("t1"),))
POSTED = Moment((task("t1"),), spec(NEW), spec(OLD))  # and nothing was begun yet
DONE = Moment((task("t2", NEW),), spec(NEW), spec(OLD), "completed")
LONG_AGO = "2026-01-01T00:00:00.123456789Z"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(converge, "POLL_SECONDS", 0)
    monkeypatch.setattr(converge, "LOG_SECONDS", 0.001)


def _watch(*moments, back=False):
    """What comes of a deployment that changes the one service, as told in these moments."""
    before = read(told(RUNS), "till")
    engine = told(*moments)
    updating = frozenset() if moments[0].previous is None else frozenset({"shop"})
    return Watch(engine, "till", before, updating, back).wait(5)


# --- settled


@pytest.mark.parametrize(
    ("moment", "settled"),
    [
        (RUNS, True),
        (DONE, True),
        (POSTED, False),  # it runs, and is not what it shall be
        (RUNS.then(spec=spec(replicas=2)), False),
        (RUNS.then(tasks=(task("t1"), task("t2"))), False),
        (RUNS.then(tasks=(task("t1", state="starting"),)), False),
        (RUNS.then(tasks=(task("t1"), ended("t0"))), True),  # history
        (DONE.then(update="updating"), False),
        (DONE.then(update="paused"), False),
        (DONE.then(update="rollback_started"), False),
        (RUNS.then(update="rollback_completed"), True),
        (RUNS.then(spec={**spec(), "Mode": {"Global": {}}}), True),
    ],
)
def test_a_service_is_settled_when_all_its_tasks_run_as_they_shall(moment, settled):
    assert read(told(moment), "till")["shop"].settled is settled


def test_what_the_engine_leaves_out_of_a_task_is_no_difference():
    own = task("t1")
    del own["Spec"]["ContainerSpec"]["DNSConfig"]
    own["Spec"]["ContainerSpec"]["Env"] = ["LOG_LEVEL=info"]
    assert read(told(RUNS.then(tasks=(own,))), "till")["shop"].settled


def test_a_service_changes_by_its_tasks_or_its_ports_and_not_by_their_number():
    before = read(told(RUNS), "till")
    ports = {**spec(), "EndpointSpec": {"Mode": "vip"}}
    for other, found in ((spec(NEW), {"shop"}), (ports, {"shop"}), (spec(replicas=3), set())):
        assert changed(before, read(told(RUNS.then(spec=other)), "till")) == found
    assert changed({}, before) == set()


# --- waiting


def test_it_is_over_only_when_swarm_says_so(capsys):
    begun = POSTED.then(update="updating", tasks=(task("t1"), task("t2", NEW, "starting")))
    watched = DONE.then(update="updating")
    services, failure = _watch(POSTED, begun, watched, DONE)
    assert failure is None
    assert services["shop"].update == "completed"
    said = capsys.readouterr().err
    assert "shop.1           starting on one" in said
    assert "shop.1           running on one" in said


def test_nodes_are_asked_for_once():
    begun = POSTED.then(update="updating", tasks=(task("t1"), task("t2", NEW, NodeID="n2")))
    engine = told(POSTED, begun, begun, DONE)
    Watch(engine, "till", {}, frozenset({"shop"})).wait(5)
    asked = [said[:2] for said in engine.said]
    assert (asked.count(("service", "ls")), asked.count(("node", "ls"))) == (4, 1)


@pytest.mark.parametrize(("known", "asked"), [("n1", 0), ("n2", 1)])
def test_nodes_are_asked_for_again_where_there_is_another(known, asked):
    engine = told(RUNS)
    read(engine, "till", {known: "known"})
    assert [said[:2] for said in engine.said].count(("node", "ls")) == asked


def test_an_election_of_managers_is_waited_for():
    assert _watch(POSTED, LEADERLESS, LEADERLESS, DONE)[1] is None
    with pytest.raises(EngineUnavailable):
        Watch(told(LEADERLESS), "till", {}).wait(0)


def test_what_swarm_takes_back_is_waited_for_and_is_a_failure():
    message = "update rolled back due to failure or early termination of task t2"
    broken = ended("t2", error="task: non-zero exit (1)")
    begun = POSTED.then(update="updating", tasks=(task("t1"), broken))
    taken = Moment((task("t1"), broken), spec(OLD), None, "rollback_started", message)
    over = taken.then(update="rollback_completed", message="rollback completed")
    services, failure = _watch(POSTED, begun, taken, over)
    assert services["shop"].update == "rollback_completed"
    assert failure.cause == "shop.1 on one is failed: task: non-zero exit (1)"
    assert failure.task.id == "t2"


def test_the_task_that_swarm_names_is_the_one_that_is_shown():
    message = "update rolled back due to failure or early termination of task t2"
    tasks = (task("t1"), ended("t2", error="first"), ended("t3", error="second"))
    taken = Moment(tasks, spec(OLD), None, "rollback_started", message)
    over = taken.then(update="rollback_completed", message="rollback completed")
    assert _watch(taken, over)[1].task.id == "t2"


@pytest.mark.parametrize(
    ("update", "said"), [("paused", "it was paused"), ("rollback_paused", "taking it back failed")]
)
def test_what_swarm_gives_up_is_a_failure(update, said):
    moment = DONE.then(update=update, tasks=(task("t1"), ended("t2")))
    assert said in _watch(moment)[1].cause


def test_a_rollback_that_was_asked_for_is_none():
    begun = Moment((task("t2", NEW),), spec(OLD), spec(NEW), "rollback_started")
    over = Moment((task("t3", OLD),), spec(OLD), spec(NEW), "rollback_completed")
    services, failure = _watch(begun, over, back=True)
    assert failure is None
    assert services["shop"].image == OLD


def test_a_task_that_finds_no_node_is_a_failure_after_a_while():
    error = "no suitable node (scheduling constraints not satisfied on 3 nodes)"
    waiting = {"state": "pending", "NodeID": "", "error": error}
    soon = POSTED.then(update="updating", tasks=(task("t1"), task("t2", NEW, **waiting)))
    late = soon.then(tasks=(task("t1"), task("t2", NEW, **waiting, CreatedAt=LONG_AGO)))
    failure = _watch(soon, soon, late)[1]
    assert failure.cause == f"shop.1 finds no node: {error}"


def test_a_task_that_waits_for_a_port_is_none_for_most_of_a_minute():
    """The old task has it until it has ended."""
    lately = (datetime.now(tz=UTC) - timedelta(seconds=45)).isoformat().replace("+00:00", "123Z")
    waiting = task("t2", NEW, state="pending", NodeID="", CreatedAt=lately)
    assert _watch(POSTED.then(update="updating", tasks=(task("t1"), waiting)), DONE)[1] is None


def test_a_first_version_that_ends_again_and_again_is_a_failure():
    broken = tuple(ended(f"t{n}", error="exit (2)") for n in range(3))
    last = task("t9", NEW, "starting")
    engine = told(
        Moment((*broken[:1], last), spec(NEW)),
        Moment((*broken[:2], last), spec(NEW)),
        Moment((*broken, last), spec(NEW)),
    )
    failure = Watch(engine, "till", {}).wait(5)[1]
    assert failure.cause == "shop.1 on one is failed: exit (2); it was started 3 times"


# --- two tasks in one slot


TWICE = RUNS.then(tasks=(task("t2"), task("t3")))
NO_ROOM = task("t3", state="pending", NodeID="", error="host-mode port already in use on 3 nodes")
STUCK = RUNS.then(tasks=(task("t2"), NO_ROOM), update="rollback_started")


@pytest.mark.parametrize(
    ("tasks", "crowded"),
    [
        (TWICE.tasks, True),
        (STUCK.tasks, True),
        ((task("t2"),), False),
        ((task("t2"), task("t3", Slot=2)), False),
        ((task("t2"), ended("t3")), False),
        ((task("t2"), task("t3", state="starting")), False),  # an update is on its way
        ((task("t2", NEW), task("t3", state="pending")), False),  # it waits for room
        ((task("t2", state="pending"), task("t3", state="pending")), False),
        ((task("t2", Slot=0), task("t3", Slot=0)), False),  # one a node
    ],
)
def test_a_slot_is_crowded_when_no_update_would_clear_it(tasks, crowded):
    assert read(told(RUNS.then(tasks=tasks)), "till")["shop"].crowded is crowded


@pytest.mark.parametrize("moment", [TWICE, TWICE.then(update="rollback_completed"), STUCK])
def test_swarm_is_asked_once_to_look_at_a_crowded_slot(monkeypatch, capsys, moment):
    monkeypatch.setattr(converge, "CROWDED_SECONDS", -1)
    engine = told(moment, moment, moment, RUNS.then(update="updating"), DONE)
    watch = Watch(engine, "till", read(told(RUNS), "till"), frozenset({"shop"}))
    services, failure = watch.wait(5)
    (asked,) = commands(engine)
    assert asked.startswith("service update --detach --label-add=imageproof.looked-at=")
    assert asked.endswith(" till_shop")
    assert "shop: two tasks in one slot" in capsys.readouterr().err
    assert services["shop"].settled
    # That it was needed does not make a good deployment of one that was taken back.
    assert bool(failure) == bool(moment.update)


def test_swarm_is_given_the_time_to_clear_a_slot_by_itself():
    engine = told(TWICE, TWICE, RUNS)
    assert Watch(engine, "till", read(told(RUNS), "till")).wait(5)[1] is None
    assert not list(commands(engine))


def test_having_a_service_looked_at_makes_no_other_of_it():
    before = read(told(RUNS), "till")["shop"]
    looked_at = {**spec(), "Labels": {"imageproof.looked-at": "now"}}
    assert not is_another(before, read(told(RUNS.then(spec=looked_at)), "till")["shop"])
    for other in (spec(NEW), {**spec(), "Labels": {"team": "shop"}}, spec(replicas=2)):
        assert is_another(before, read(told(RUNS.then(spec=other)), "till")["shop"])


def test_what_does_not_end_says_how_far_it_is():
    engine = told(Moment((task("t1", state="starting"),), spec(replicas=2)))
    failure = Watch(engine, "till", {}).wait(0)[1]
    assert failure.cause == "after 0 s 0 of 2 tasks run; shop.1 on one is starting"


def test_a_task_that_was_stopped_for_its_health_is_said_to_be_so():
    tasks = (task("t1"), ended("t2", state="complete"))
    over = Moment(tasks, spec(OLD), None, "rollback_completed")
    assert "was not healthy" in _watch(over)[1].cause


def test_an_error_shows_no_secret():
    tasks = (task("t1"), ended("t2", error="API_TOKEN=hunter2hunter2 is refused"))
    failure = _watch(Moment(tasks, spec(OLD), None, "rollback_completed"))[1]
    assert "hunter2" not in failure.cause


def test_a_log_that_nobody_sends_is_none(monkeypatch, tmp_path):
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    (service,) = read(told(RUNS), "till").values()
    assert last_words(told(RUNS, client=str(program)), service.tasks[0]) == []
