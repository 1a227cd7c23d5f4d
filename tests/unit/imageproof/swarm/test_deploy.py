"""Tests of deployment and rollback: commands, their order, and errors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imageproof.errors import StackFailed, UsageError
from imageproof.swarm import converge, deploy, task_log
from imageproof.swarm.secrets import Secret
from imageproof.swarm.stack_file import StackFile
from tests.support.fake_swarm import NEW, OLD, Snapshot, commands, ended, fake_engine, spec, task
from tests.support.sample_facts import SECRET

BEFORE = Snapshot((task("t1"),))
POSTED = Snapshot((task("t1"),), spec(NEW), spec(OLD), "updating")
DONE = Snapshot((task("t2", NEW),), spec(NEW), spec(OLD), "completed")


@pytest.fixture(autouse=True)
def _without_pause_and_files(monkeypatch, tmp_path):
    monkeypatch.setattr(converge, "MIN_POLL_SECONDS", 0)
    monkeypatch.setattr(task_log, "_log", lambda *_: ["its last line"])
    secret = Secret("till_api_token_2", SECRET)
    file = StackFile(tmp_path / "stack.yaml", "till", {"SHOP_IMAGE": NEW}, (secret,), {})
    monkeypatch.setattr(deploy, "load_stack_file", lambda *_: file)


def _deploy(engine, timeout=5):
    return deploy.deploy(SimpleNamespace(), engine, None, "till", timeout)


def test_secrets_are_created_first_and_passed_on_standard_input(capsys):
    engine = fake_engine(BEFORE, POSTED, DONE)
    services = _deploy(engine)
    assert services["shop"].image == NEW
    create_secret, deploy_stack = commands(engine)
    assert create_secret.startswith(
        "secret create --label com.docker.stack.namespace=till till_api_token_2"
    )
    assert deploy_stack.startswith("stack deploy --detach=true --prune")
    assert "--resolve-image never" in deploy_stack
    assert engine.inputs == [SECRET]
    assert SECRET not in str(engine.calls) + capsys.readouterr().err


def test_existing_secret_is_not_created_and_unused_one_is_removed():
    existing = ["till_api_token_2", "till_api_token_1", "till_api_token_0"]
    engine = fake_engine(BEFORE, POSTED, DONE, secrets=existing)
    _deploy(engine)
    # The service uses secret 1, now and before the deployment.
    assert [line for line in commands(engine) if line.startswith("secret")] == [
        "secret rm till_api_token_0",
        "secret rm till_api_token_2",
    ]


def test_swarms_rollback_is_reported_with_the_task_and_its_log():
    rolled_back = Snapshot((task("t1"), ended("t2")), spec(OLD), None, "rollback_completed")
    engine = fake_engine(BEFORE, POSTED, rolled_back)
    with pytest.raises(StackFailed) as caught:
        _deploy(engine)
    assert caught.value.cause == "shop.1 on one is failed; Swarm rolled back shop"
    assert caught.value.tail == ("log: its last line",)
    assert not any(line.startswith("service rollback") for line in commands(engine))
    assert caught.value.status == 1


def test_paused_update_is_rolled_back():
    paused = DONE.but(update="paused", tasks=(task("t1"), ended("t2")))
    back = Snapshot((task("t1"),), spec(OLD), spec(NEW), "rollback_completed")
    engine = fake_engine(BEFORE, POSTED, paused, back)
    with pytest.raises(StackFailed, match="rolled back: shop"):
        _deploy(engine)
    assert "service rollback --detach till_shop" in commands(engine)


def test_unschedulable_replicas_are_rolled_back():
    late = Snapshot((task("t1"), task("t2", state="pending")), spec(replicas=2), spec(), "")
    back = Snapshot((task("t1"),), spec(), spec(replicas=2), "rollback_completed")
    engine = fake_engine(BEFORE, late, late, back)
    with pytest.raises(StackFailed, match=r"1 of 2 tasks running.*rolled back"):
        _deploy(engine, timeout=0)


def test_failed_first_deployment_stays_and_the_hint_removes_it():
    nothing = Snapshot(())
    broken = Snapshot(tuple(ended(f"t{n}") for n in range(3)), spec(NEW))
    message = "it was started 3 times; the stack is new"
    with pytest.raises(StackFailed, match=message) as caught:
        _deploy(fake_engine(nothing, broken))
    assert "docker stack rm till" in (caught.value.hint or "")


def test_rollback_restores_the_previous_spec_and_requires_one():
    now = Snapshot((task("t2", NEW),), spec(NEW), spec(OLD))
    back = Snapshot((task("t3"),), spec(OLD), spec(NEW), "rollback_completed")
    engine = fake_engine(now, back)
    assert deploy.rollback(engine, "till", 5)["shop"].image == OLD
    assert list(commands(engine)) == ["service rollback --detach till_shop"]
    with pytest.raises(UsageError, match="no previous version"):
        deploy.rollback(fake_engine(BEFORE), "till", 5)


def test_status_of_a_missing_stack_is_a_usage_error():
    with pytest.raises(UsageError, match="no stack with this name"):
        deploy.status(fake_engine(Snapshot(())), "till")
