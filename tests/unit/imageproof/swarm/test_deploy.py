"""imageproof.swarm.deploy: what is asked of a swarm, in which order, and what is taken back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imageproof.errors import MachineError, StackFailed, UsageError
from imageproof.swarm import converge, deploy
from imageproof.swarm.secrets import Secret
from imageproof.swarm.stack_file import StackFile
from imageproof.swarm.state import require_manager
from imageproof.swarm.target import asking
from tests.support.fake_swarm import NEW, OLD, Moment, commands, ended, spec, task, told
from tests.support.sample_facts import SECRET

BEFORE = Moment((task("t1"),))
POSTED = Moment((task("t1"),), spec(NEW), spec(OLD), "updating")
DONE = Moment((task("t2", NEW),), spec(NEW), spec(OLD), "completed")


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    monkeypatch.setattr(converge, "POLL_SECONDS", 0)
    monkeypatch.setattr(converge, "_log", lambda *_: ["it fell"])
    secret = Secret("till_api_token_2", SECRET)
    file = StackFile(tmp_path / "stack.yaml", "till", {"SHOP_IMAGE": NEW}, (secret,), {})
    monkeypatch.setattr(deploy, "open_file", lambda *_: file)


def _deploy(engine, within=5):
    return deploy.deploy(SimpleNamespace(), engine, None, "till", within)


def test_secrets_are_made_before_the_stack_and_given_on_standard_input(capsys):
    engine = told(BEFORE, POSTED, DONE)
    services = _deploy(engine)
    assert services["shop"].image == NEW
    made, deployed = commands(engine)
    assert made.startswith("secret create --label com.docker.stack.namespace=till till_api_token_2")
    assert deployed.startswith("stack deploy --detach=true --prune")
    assert "--resolve-image never" in deployed
    assert engine.given == [SECRET]
    assert SECRET not in str(engine.said) + capsys.readouterr().err


def test_a_secret_that_is_there_is_not_made_and_one_that_nothing_uses_is_removed():
    there = ["till_api_token_2", "till_api_token_1", "till_api_token_0"]
    engine = told(BEFORE, POSTED, DONE, secrets=there)
    _deploy(engine)
    # 1 is what the service has, now and before
    assert [line for line in commands(engine) if line.startswith("secret")] == [
        "secret rm till_api_token_0",
        "secret rm till_api_token_2",
    ]


def test_what_swarm_takes_back_is_said_with_the_task_and_its_last_words():
    over = Moment((task("t1"), ended("t2")), spec(OLD), None, "rollback_completed")
    engine = told(BEFORE, POSTED, over)
    with pytest.raises(StackFailed) as caught:
        _deploy(engine)
    assert caught.value.cause == "shop.1 on one is failed; Swarm took shop back to what it was"
    assert caught.value.tail == ("log: it fell",)
    assert not any("rollback" in line for line in commands(engine))
    assert caught.value.status == 1


def test_what_swarm_does_not_take_back_is_taken_back():
    paused = DONE.then(update="paused", tasks=(task("t1"), ended("t2")))
    back = Moment((task("t1"),), spec(OLD), spec(NEW), "rollback_completed")
    engine = told(BEFORE, POSTED, paused, back)
    with pytest.raises(StackFailed, match="taken back: shop"):
        _deploy(engine)
    assert "service rollback --detach till_shop" in commands(engine)


def test_a_number_of_tasks_that_finds_no_room_is_taken_back_too():
    late = Moment((task("t1"), task("t2", state="pending")), spec(replicas=2), spec(), "")
    back = Moment((task("t1"),), spec(), spec(replicas=2), "rollback_completed")
    engine = told(BEFORE, late, late, back)
    with pytest.raises(StackFailed, match=r"1 of 2 tasks run.*taken back"):
        _deploy(engine, within=0)


def test_a_first_deployment_that_fails_is_left_and_says_how_it_is_removed():
    nothing = Moment(())
    broken = Moment(tuple(ended(f"t{n}") for n in range(3)), spec(NEW))
    said = "it was started 3 times; there was nothing before"
    with pytest.raises(StackFailed, match=said) as caught:
        _deploy(told(nothing, broken))
    assert "docker stack rm till" in (caught.value.hint or "")


def test_a_rollback_goes_to_what_was_before_and_needs_one():
    now = Moment((task("t2", NEW),), spec(NEW), spec(OLD))
    back = Moment((task("t3"),), spec(OLD), spec(NEW), "rollback_completed")
    engine = told(now, back)
    assert deploy.rollback(engine, "till", 5)["shop"].image == OLD
    assert list(commands(engine)) == ["service rollback --detach till_shop"]
    with pytest.raises(UsageError, match="no version before"):
        deploy.rollback(told(BEFORE), "till", 5)


def test_a_stack_that_is_not_there_has_no_status():
    with pytest.raises(UsageError, match="no stack of that name"):
        deploy.status(told(Moment(())), "till")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ('{"LocalNodeState": "inactive", "ControlAvailable": false}', "docker swarm init"),
        ('{"LocalNodeState": "active", "ControlAvailable": false}', "--host"),
        ("null", "docker swarm init"),
    ],
)
def test_only_a_manager_is_asked(answer, hint):
    with pytest.raises(MachineError) as caught:
        require_manager(told(BEFORE, manager=answer))
    assert caught.value.status == 3
    assert hint in (caught.value.hint or "")


def test_an_engine_elsewhere_is_asked_for_the_while(monkeypatch):
    import os

    monkeypatch.setenv("DOCKER_HOST", "unix:///here")
    with asking(told(BEFORE), "till", None, "there") as stack:
        assert (stack, os.environ.get("DOCKER_CONTEXT")) == ("till", "there")
        assert "DOCKER_HOST" not in os.environ
    with asking(told(BEFORE), "till", "ssh://there.invalid", None):
        assert os.environ["DOCKER_HOST"] == "ssh://there.invalid"
    assert os.environ["DOCKER_HOST"] == "unix:///here"
    with pytest.raises(UsageError), asking(told(BEFORE), "till", "a", "b"):
        pass
