"""Tests of the status of a stack on a swarm, and of the printed plan."""

from __future__ import annotations

import json

import pytest

from imageproof.errors import UsageError
from imageproof.report import swarm as report
from imageproof.swarm.history import History, Record, read_history
from imageproof.swarm.plan import Change, Plan, ServicePlan
from imageproof.swarm.state import read_stack
from tests.support.fake_swarm import NEW, OLD, Snapshot, ended, fake_engine, spec, task
from tests.support.sample_facts import SECRET


def _print(snapshot, *images, format_="table"):
    """Print the status of a stack with records of these images."""
    specs = [{"shop": spec(image)} for image in images]
    records = [Record(number=n, origin=n, specs=s) for n, s in enumerate(specs, start=1)]
    configs = {str(record.number): record.model_dump_json() for record in records}
    engine = fake_engine(snapshot, configs=configs)
    report.print_status(read_stack(engine, "till"), read_history(engine, "till"), format_)


def test_status_shows_running_and_failed_tasks(capsys):
    tasks = (task("t1"), ended("t0", OLD, error="exit (1)"), ended("t2", OLD, state="shutdown"))
    snapshot = Snapshot(tasks, spec(replicas=2))
    _print(snapshot)
    printed = capsys.readouterr().out
    assert "1/2" in printed
    assert "failed (history)" in printed
    assert "exit (1)" in printed
    assert "shutdown" not in printed
    _print(snapshot, format_="json")
    assert '"settled": false' in capsys.readouterr().out
    with pytest.raises(UsageError):
        report.print_status({}, History(), "xml")


@pytest.mark.parametrize(
    ("snapshot", "lines"),
    [
        (
            Snapshot((task("t1", NEW),), spec(NEW)),
            ["release 2", "tasks match", "before:  release 1"],
        ),
        (Snapshot((task("t1"),)), ["release 1", "tasks match", "before:  no recorded release"]),
        (
            Snapshot((task("t1", NEW, "starting"),), spec(NEW)),
            ["release 2", "not settled: shop", "before:  release 1"],
        ),
        (
            Snapshot((task("t1", NEW), task("t2", NEW, Slot=2)), spec(NEW, replicas=2)),
            ["release 2", "number of tasks changed: shop; tasks match"],
        ),
        (
            Snapshot((task("t1", "x@y"),), spec("x@y")),
            ["no recorded release (differs from release 2: shop)", "before:  release 2"],
        ),
    ],
)
def test_status_shows_the_running_release_and_the_one_before(capsys, snapshot, lines):
    _print(snapshot, OLD, NEW)
    printed = capsys.readouterr().out
    for line in lines:
        assert line in printed


def test_json_has_the_releases_of_each_service(capsys):
    _print(Snapshot((task("t1", NEW),), spec(NEW)), OLD, NEW, format_="json")
    (service,) = json.loads(capsys.readouterr().out)
    assert (service["release"], service["release_before"]) == (2, 1)


def test_plan_shows_each_change_and_redacts_secrets(capsys):
    changes = (Change("replicas", "", "2"), Change("mount /a", "x", f"API_TOKEN={SECRET}"))
    report.print_plan(Plan((ServicePlan("shop", "changed", changes),), ("secret a: new",)))
    printed = capsys.readouterr().out
    assert "shop        changed" in printed
    assert "replicas: - → 2" in printed
    assert "secret a: new" in printed
    assert SECRET not in printed
