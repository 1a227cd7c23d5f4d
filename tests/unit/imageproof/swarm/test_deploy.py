"""Tests of deployment: commands, their order, the record of the release, and errors."""

from __future__ import annotations

import pytest

from imageproof.errors import ConfigurationError, ImageproofError, StackFailed
from imageproof.swarm import converge, deploy, history, task_log
from imageproof.swarm.history import Record, read_history
from imageproof.swarm.secrets import Secret
from imageproof.swarm.stack_file import StackFile
from tests.support.fake_swarm import NEW, OLD, Snapshot, commands, ended, fake_engine, spec, task
from tests.support.sample_facts import SECRET

BEFORE = Snapshot((task("t1"),))
POSTED = Snapshot((task("t1"),), spec(NEW), "updating")
DONE = Snapshot((task("t2", NEW),), spec(NEW), "completed")
BACK = Snapshot((task("t3"),), spec(OLD), "completed")
UPDATE = "POST /services/s1/update"


@pytest.fixture(autouse=True)
def _without_pause_and_logs(monkeypatch):
    monkeypatch.setattr(converge, "MIN_POLL_SECONDS", 0)
    monkeypatch.setattr(task_log, "_log", lambda *_: ["its last line"])


def _deploy(engine, tmp_path, timeout=5):
    secret = Secret("till_api_token_2", SECRET)
    file = StackFile(tmp_path / "stack.yaml", "till", {"SHOP_IMAGE": NEW}, (secret,), "c0ffee")
    return deploy.deploy(engine, file, timeout)


def _images(engine):
    """Return the image and number of each recorded release."""
    return [
        (record.number, record.specs["shop"]["TaskTemplate"]["ContainerSpec"]["Image"])
        for record in read_history(engine, "till").records
    ]


def test_secrets_are_created_first_and_passed_on_standard_input(capsys, tmp_path):
    engine = fake_engine(BEFORE, POSTED, DONE)
    services, _ = _deploy(engine, tmp_path)
    assert services["shop"].image == NEW
    adopted, create_secret, deploy_stack, recorded = commands(engine)
    assert adopted.startswith("config create")
    assert create_secret.startswith(
        "secret create --label com.docker.stack.namespace=till till_api_token_2"
    )
    assert deploy_stack.startswith("stack deploy --detach=true --prune")
    assert "--resolve-image never" in deploy_stack
    assert recorded.startswith("config create")
    assert engine.inputs.count(SECRET) == 1
    assert SECRET not in str(engine.calls) + capsys.readouterr().err


def test_client_without_the_option_detach_gets_none(tmp_path):
    engine = fake_engine(BEFORE, POSTED, DONE, help="--prune")
    _deploy(engine, tmp_path)
    assert any(line.startswith("stack deploy --prune") for line in commands(engine))


def test_what_ran_before_and_what_runs_now_are_recorded(tmp_path):
    engine = fake_engine(BEFORE, POSTED, DONE)
    _, releases = _deploy(engine, tmp_path)
    assert _images(engine) == [(1, OLD), (2, NEW)]
    assert [record.revision for record in releases.records] == ["", "c0ffee"]


def test_finished_but_unrecorded_rollback_is_recorded_as_a_copy(tmp_path):
    specs = {"1": OLD, "2": NEW}
    records = {
        n: Record(number=int(n), origin=int(n), specs={"shop": spec(image)}).model_dump_json()
        for n, image in specs.items()
    }
    third = f"{NEW[:-1]}2"
    done = Snapshot((task("t9", third),), spec(third), "completed")
    posted = Snapshot((task("t1"),), spec(third), "updating")
    _, releases = _deploy(fake_engine(BEFORE, posted, done, configs=records), tmp_path)
    assert [(r.number, r.origin) for r in releases.records] == [(1, 1), (2, 2), (3, 1), (4, 4)]


def test_repeated_deployment_is_recorded_once(tmp_path):
    engine = fake_engine(BEFORE, POSTED, DONE)
    _deploy(engine, tmp_path)
    _deploy(fake_engine(DONE, DONE, DONE, configs=engine.configs), tmp_path)
    assert _images(engine) == [(1, OLD), (2, NEW)]


def test_failed_deployment_is_not_recorded(tmp_path):
    engine = fake_engine(BEFORE, POSTED, POSTED.but(update="paused"), POSTED, BEFORE, BACK)
    with pytest.raises(StackFailed):
        _deploy(engine, tmp_path)
    assert _images(engine) == [(1, OLD)]


def test_unfinished_update_is_not_taken_for_a_release(tmp_path):
    engine = fake_engine(POSTED, POSTED, DONE)
    _deploy(engine, tmp_path)
    assert _images(engine) == [(1, NEW)]


def test_only_the_last_records_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MAX_RECORDS", 2)
    engine = fake_engine(BEFORE, POSTED, DONE)
    _deploy(engine, tmp_path)
    third = Snapshot((task("t9", OLD),), spec(OLD, Dir="/x"), "completed")
    third.tasks[0]["Spec"]["ContainerSpec"]["Dir"] = "/x"
    _deploy(fake_engine(DONE, third, third, configs=engine.configs), tmp_path)
    assert [number for number, _ in _images(engine)] == [2, 3]


def test_secrets_of_recorded_releases_stay_and_unused_ones_go(tmp_path):
    existing = ["till_api_token_2", "till_api_token_1", "till_api_token_0"]
    rotated = [{"File": {"Name": "api_token"}, "SecretName": "till_api_token_2"}]
    new_spec = spec(NEW, Secrets=rotated)
    new_task = task("t2", NEW)
    new_task["Spec"]["ContainerSpec"]["Secrets"] = rotated
    done = Snapshot((new_task,), new_spec, "completed")
    engine = fake_engine(BEFORE, done.but(tasks=(task("t1"),)), done, secrets=existing)
    _deploy(engine, tmp_path)
    # The earlier release uses secret 1.
    assert [line for line in commands(engine) if line.startswith("secret")] == [
        "secret rm till_api_token_0"
    ]


def test_swarms_rollback_is_reported_with_the_task_and_its_log(tmp_path):
    rolled_back = Snapshot((task("t1"), ended("t2")), spec(OLD), "rollback_completed")
    engine = fake_engine(BEFORE, POSTED, rolled_back, rolled_back, BEFORE)
    with pytest.raises(StackFailed) as caught:
        _deploy(engine, tmp_path)
    cause = "shop.1 on one is failed; Swarm rolled back shop; the version before runs"
    assert caught.value.cause == cause
    assert caught.value.tail == ("log: its last line",)
    assert caught.value.status == 1


def test_swarms_rollback_to_a_version_that_fails_too_is_reported(tmp_path):
    rolled_back = Snapshot((task("t1"), ended("t2")), spec(OLD), "rollback_completed")
    sick = Snapshot((task("t3", state="starting"),), spec(OLD))
    engine = fake_engine(BEFORE, POSTED, rolled_back, rolled_back, sick)
    with pytest.raises(StackFailed, match="the rollback failed: shop: 0 of 1 tasks running"):
        _deploy(engine, tmp_path, timeout=0.3)


def test_paused_update_is_taken_back_to_the_recorded_release(tmp_path):
    paused = DONE.but(update="paused", tasks=(task("t1"), ended("t2")))
    engine = fake_engine(BEFORE, POSTED, paused, paused, paused, BEFORE, BACK)
    with pytest.raises(StackFailed, match="rolled back: shop"):
        _deploy(engine, tmp_path)
    assert UPDATE in commands(engine)
    assert engine.inputs[-1]["TaskTemplate"]["ContainerSpec"]["Image"] == OLD


def test_failed_deployment_over_an_interrupted_one_goes_back_to_the_last_record(tmp_path):
    engine = fake_engine(BEFORE, POSTED, DONE)
    _deploy(engine, tmp_path)  # records OLD and NEW
    third = f"{NEW[:-1]}2"
    half = Snapshot((task("t1"), task("t9", third, "starting")), spec(third), "updating")
    paused = half.but(update="paused", tasks=(task("t1"), ended("t9", third)))
    other = fake_engine(half, half, paused, paused, paused, DONE, DONE, configs=engine.configs)
    with pytest.raises(StackFailed, match="rolled back: shop"):
        _deploy(other, tmp_path)
    assert other.inputs[-1]["TaskTemplate"]["ContainerSpec"]["Image"] == NEW


def test_unschedulable_replicas_are_taken_back(tmp_path):
    late = Snapshot((task("t1"), task("t2", state="pending")), spec(replicas=2))
    engine = fake_engine(BEFORE, late, late, late, late, BEFORE)
    with pytest.raises(StackFailed, match=r"1 of 2 tasks running.*rolled back"):
        _deploy(engine, tmp_path, timeout=0)
    assert engine.inputs[-1]["Mode"]["Replicated"]["Replicas"] == 1


def test_stack_file_that_swarm_accepts_in_part_is_taken_back(tmp_path, monkeypatch):
    engine = fake_engine(BEFORE, POSTED, POSTED, BEFORE, BACK)

    def refuse(*_):
        raise ConfigurationError("deploying till", "service mode change is not allowed")

    monkeypatch.setattr(deploy, "post", refuse)
    with pytest.raises(ConfigurationError, match=r"not allowed; rolled back: shop"):
        _deploy(engine, tmp_path)
    assert UPDATE in commands(engine)


def test_take_back_that_swarm_refuses_keeps_the_cause_and_the_log(tmp_path):
    paused = DONE.but(update="paused", tasks=(task("t1"), ended("t2")))
    refusals = [StackFailed("updating shop", "network till_net not found")]
    engine = fake_engine(BEFORE, POSTED, paused, paused, refusals=refusals)
    with pytest.raises(StackFailed) as caught:
        _deploy(engine, tmp_path)
    assert caught.value.cause.startswith("shop.1 on one is failed; Swarm paused the update")
    assert caught.value.cause.endswith("the rollback failed: network till_net not found")
    assert caught.value.tail == ("log: its last line",)


def test_interrupted_deployment_says_what_goes_on(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(converge.StackWatcher, "wait", interrupt)
    engine = fake_engine(BEFORE, POSTED)
    with pytest.raises(KeyboardInterrupt):
        _deploy(engine, tmp_path)
    assert "./inv rollback" in capsys.readouterr().err
    assert UPDATE not in commands(engine)


def test_failed_first_deployment_stays_and_the_hint_removes_it(tmp_path):
    nothing = Snapshot(())
    broken = Snapshot(tuple(ended(f"t{n}") for n in range(3)), spec(NEW))
    message = "it was started 3 times; the stack is new"
    with pytest.raises(StackFailed, match=message) as caught:
        _deploy(fake_engine(nothing, broken), tmp_path)
    assert "docker stack rm till" in (caught.value.hint or "")


def test_first_stack_file_that_swarm_refuses_is_reported_unchanged(tmp_path, monkeypatch):
    def refuse(*_):
        raise ConfigurationError("deploying till", "network edge not found")

    monkeypatch.setattr(deploy, "post", refuse)
    with pytest.raises(ImageproofError) as caught:
        _deploy(fake_engine(Snapshot(())), tmp_path)
    assert caught.value.cause == "network edge not found"
