"""Tests of the release history, the choice of a release, and its restoration."""

from __future__ import annotations

import base64
import json

import pytest

from imageproof.errors import StackFailed, UsageError
from imageproof.swarm import converge, task_log
from imageproof.swarm.history import LABEL, MAX_NAME_LENGTH, Record, add_record, read_history
from imageproof.swarm.restore import _registry_auth
from imageproof.swarm.rollback import rollback, status
from imageproof.swarm.state import read_stack
from tests.support.fake_swarm import NEW, OLD, Snapshot, commands, ended, fake_engine, spec, task

A, B, C = OLD, NEW, f"{NEW[:-1]}2"
UPDATE = "POST /services/s1/update"


@pytest.fixture(autouse=True)
def _without_pause_and_logs(monkeypatch):
    monkeypatch.setattr(converge, "MIN_POLL_SECONDS", 0)
    monkeypatch.setattr(task_log, "_log", lambda *_: [])


def _runs(image, **changes):
    return Snapshot((task("t1", image),), spec(image)).but(**changes)


def _config(number, *, origin=None, **services):
    """Return the content of a record; `services`: the image of each, or its whole spec."""
    specs = {n: spec(image) if isinstance(image, str) else image for n, image in services.items()}
    return Record(number=number, origin=origin or number, specs=specs).model_dump_json()


def _engine(*snapshots, records=(), **attributes):
    configs = {f"till.release-{json.loads(text)['number']}": text for text in records}
    return fake_engine(*snapshots, configs=configs, **attributes)


def _history(*images):
    return [_config(number, shop=image) for number, image in enumerate(images, start=1)]


def _restored(engine):
    """Return the image that the last update of the service sent."""
    return engine.inputs[-2]["TaskTemplate"]["ContainerSpec"]["Image"]


def _updating(old, new):
    """Return a service that changes from one image to another."""
    return Snapshot((task("t1", old),), spec(new), "updating")


def _done(image):
    return Snapshot((task("t2", image),), spec(image), "completed")


def _roll_back(before, target, records, number=None):
    engine = _engine(
        _runs(before), _runs(before), _updating(before, target), _done(target), records=records
    )
    rollback(engine, "till", number, 5)
    assert _restored(engine) == target
    return engine


def test_rollback_restores_the_release_before_and_records_a_copy():
    engine = _roll_back(C, B, _history(A, B, C))
    assert UPDATE in commands(engine)
    last = read_history(engine, "till").last
    assert (last.number, last.origin) == (4, 2)


def test_second_rollback_goes_one_further_back():
    records = [*_history(A, B, C), _config(4, origin=2, shop=B)]
    engine = _roll_back(B, A, records)
    assert read_history(engine, "till").last.origin == 1


def test_rollback_after_the_first_release_is_refused():
    records = [*_history(A, B), _config(3, origin=1, shop=A)]
    with pytest.raises(UsageError, match="no earlier one is recorded"):
        rollback(_engine(_runs(A), records=records), "till", None, 5)


def test_rollback_after_a_rollback_and_a_deployment_skips_the_release_that_was_left():
    records = [*_history(A, B), _config(3, origin=1, shop=A), _config(4, shop=C)]
    _roll_back(C, A, records)


def test_unrecorded_services_go_back_to_the_last_release_that_ran():
    interrupted = _updating(B, C)
    records = _history(A, B)
    engine = _engine(interrupted, interrupted, _updating(C, B), _done(B), records=records)
    rollback(engine, "till", None, 5)
    assert engine.inputs[-1]["TaskTemplate"]["ContainerSpec"]["Image"] == B
    assert read_history(engine, "till").last.number == 2


def test_interrupted_rollback_is_finished():
    engine = _engine(_updating(C, B), _updating(C, B), _done(B), records=_history(A, B, C))
    rollback(engine, "till", None, 5)
    assert _restored(engine) == B
    assert read_history(engine, "till").last.origin == 2


def test_number_chooses_a_release():
    _roll_back(C, A, _history(A, B, C), number=1)
    with pytest.raises(UsageError, match="there is no release 7") as caught:
        rollback(_engine(_runs(C), records=_history(A, B, C)), "till", 7, 5)
    assert "1, 2, 3" in (caught.value.hint or "")


def test_added_service_is_removed_and_pruned_one_returns():
    records = [_config(1, shop=A), _config(2, office={**spec(B), "Name": "till_office"})]
    engine = _engine(_runs(A), _runs(A), _runs(A), records=[records[1]])
    with pytest.raises(StackFailed, match="not the restored one"):  # the fake creates nothing
        rollback(engine, "till", None, 5)
    changes = list(commands(engine))
    assert changes == ["service rm till_shop", "POST /services/create"]
    assert engine.inputs[0]["Name"] == "till_office"


def test_services_that_are_gone_are_restored():
    engine = _engine(Snapshot(()), Snapshot(()), _runs(A), records=_history(A))
    rollback(engine, "till", None, 5)
    assert "POST /services/create" in commands(engine)


def test_scaled_service_still_runs_its_release():
    scaled = Snapshot((task("t1", B), task("t2", B, Slot=2)), spec(B, replicas=2))
    engine = _engine(scaled, scaled, _updating(B, A), _done(A), records=_history(A, B))
    rollback(engine, "till", None, 5)
    assert _restored(engine) == A


def test_reconciliation_and_forced_updates_make_no_other_release():
    changed = {**spec(B), "Labels": {"imageproof.reconciled-at": "now"}}
    changed["TaskTemplate"] = {**changed["TaskTemplate"], "ForceUpdate": 4}
    engine = _engine(_runs(B, spec=changed), records=_history(A, B))
    services, history = status(engine, "till")
    assert history.running(services).number == 2


def test_counter_of_forced_updates_stays():
    forced = spec(B)
    forced["TaskTemplate"]["ForceUpdate"] = 4
    running = task("t1", B)
    running["Spec"]["ForceUpdate"] = 4
    now = Snapshot((running,), forced)
    engine = _engine(now, now, _updating(B, A), _done(A), records=_history(A, B))
    rollback(engine, "till", None, 5)
    assert engine.inputs[-2]["TaskTemplate"]["ForceUpdate"] in (0, 4)


def test_service_that_swarm_changed_meanwhile_is_read_again():
    refusals = [StackFailed("x", "rpc error: code = Unknown desc = update out of sequence")]
    engine = _engine(
        _runs(B), _runs(B), _updating(B, A), _done(A), records=_history(A, B), refusals=refusals
    )
    rollback(engine, "till", None, 5)
    assert list(commands(engine)).count(UPDATE) == 2


def test_refused_update_is_an_error():
    refusals = [StackFailed("x", "network not found")]
    engine = _engine(_runs(B), _runs(B), records=_history(A, B), refusals=refusals)
    with pytest.raises(StackFailed, match="network not found"):
        rollback(engine, "till", None, 5)


def test_failed_rollback_is_reported_and_not_recorded():
    failed = Snapshot((task("t1", B), ended("t2", A)), spec(B), "rollback_completed")
    engine = _engine(_runs(B), _runs(B), _updating(B, A), failed, records=_history(A, B))
    with pytest.raises(StackFailed, match="rolling till back to release 1") as caught:
        rollback(engine, "till", None, 5)
    assert "--to" in (caught.value.hint or "")
    assert read_history(engine, "till").last.number == 2


def test_stack_without_a_record_names_the_way_out():
    with pytest.raises(UsageError, match="no release is recorded") as caught:
        rollback(fake_engine(_runs(A)), "till", None, 5)
    assert "deploy --release" in (caught.value.hint or "")


def test_status_of_a_missing_stack_is_a_usage_error():
    with pytest.raises(UsageError, match="no stack with this name"):
        status(fake_engine(Snapshot(())), "till")


# --- records


def test_foreign_config_with_the_label_is_ignored(capsys):
    engine = _engine(_runs(A), records=_history(A))
    engine.configs["theirs"] = "not JSON"
    engine.configs["newer"] = '{"number": 9, "origin": 9, "specs": {"shop": {}}, "key": 1}'
    assert [record.number for record in read_history(engine, "till").records] == [1]
    assert "theirs" in capsys.readouterr().err


def test_record_is_labelled_for_the_stack_and_its_name_fits():
    engine = fake_engine(_runs(A))
    services = read_stack(engine, "till")
    add_record(engine, "s" * 63, read_history(engine, "till"), services)
    (command,) = commands(engine)
    name = command.split()[-2]
    assert len(name) == MAX_NAME_LENGTH
    assert f"--label {LABEL}=1" in command
    assert f"--label com.docker.stack.namespace={'s' * 63}" in command


def test_records_beyond_the_limit_are_first_those_that_no_rollback_reaches():
    records = [*_history(A, B, C, A, B), _config(6, origin=3, shop=C)]
    surplus = read_history(_engine(_runs(C), records=records), "till").surplus()
    assert [record.number for record in surplus] == [3]


def test_registry_credentials_go_with_the_specification(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    auth = base64.b64encode(b"user:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"host.invalid": {"auth": auth}}}))
    header = _registry_auth(spec(A))["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(header))["password"] == "word"
    assert _registry_auth(spec("redis@sha256:0")) == {}
