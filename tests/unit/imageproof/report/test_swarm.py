"""Tests of the status of a stack on a swarm, and of the printed plan."""

from __future__ import annotations

import pytest

from imageproof.errors import UsageError
from imageproof.report import swarm as report
from imageproof.swarm.plan import Change, ServicePlan
from imageproof.swarm.state import read_stack
from tests.support.fake_swarm import OLD, Snapshot, ended, fake_engine, spec, task
from tests.support.sample_facts import SECRET


def test_status_shows_running_and_failed_tasks(capsys):
    tasks = (task("t1"), ended("t0", OLD, error="exit (1)"), ended("t2", OLD, state="shutdown"))
    services = read_stack(fake_engine(Snapshot(tasks, spec(replicas=2))), "till")
    report.print_status(services)
    printed = capsys.readouterr().out
    assert "1/2" in printed
    assert "failed (history)" in printed
    assert "exit (1)" in printed
    assert "shutdown" not in printed
    report.print_status(services, "json")
    assert '"settled": false' in capsys.readouterr().out
    with pytest.raises(UsageError):
        report.print_status(services, "xml")


def test_plan_shows_each_change_and_redacts_secrets(capsys):
    changes = (Change("replicas", "", "2"), Change("mount /a", "x", f"API_TOKEN={SECRET}"))
    report.print_plans([ServicePlan("shop", "changed", changes)])
    printed = capsys.readouterr().out
    assert "shop        changed" in printed
    assert "replicas: - → 2" in printed
    assert SECRET not in printed
