"""Tests of the deployment plan: the comparison of specifications, and the recorded dry run."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.docker.api import Answer
from imageproof.docker.client import Engine
from imageproof.errors import EngineUnavailable
from imageproof.swarm import dry_run
from imageproof.swarm import plan as planning
from imageproof.swarm.history import Record
from imageproof.swarm.plan import Change, plan_rollback
from imageproof.swarm.secrets import Secret
from imageproof.swarm.spec_settings import settings
from imageproof.swarm.stack_file import StackFile
from tests.support.fake_swarm import NEW, OLD, Snapshot, commands, fake_engine, spec, task
from tests.support.sample_facts import SECRET


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Return the specification with one key changed; None removes it."""
    changed = copy.deepcopy(spec())
    *parents, key = path.split(".")
    table = changed
    for parent in parents:
        table = table.setdefault(parent, {})
    table[key] = value
    if value is None:
        del table[key]
    return changed


def _plan(**specs: dict[str, Any]):
    """Plan the change from the specification of `spec()` to these services."""
    records = {"one": Record(number=1, origin=1, specs=specs).model_dump_json()}
    return plan_rollback(fake_engine(Snapshot((task("t1"),)), configs=records), "till", 1).services


def test_equal_service_is_unchanged():
    assert [(p.service, p.kind) for p in _plan(shop=spec())] == [("shop", "unchanged")]


TASK, CONTAINER = "TaskTemplate", "TaskTemplate.ContainerSpec"


@pytest.mark.parametrize(
    ("path", "value", "change"),
    [
        (f"{CONTAINER}.Image", NEW, Change("image", OLD, NEW)),
        (f"{CONTAINER}.Env", ["LOG_LEVEL=a=b"], Change("environment LOG_LEVEL", "info", "a=b")),
        (f"{CONTAINER}.Env", [], Change("environment LOG_LEVEL", "info", "")),
        (
            f"{CONTAINER}.Secrets",
            [{"File": {"Name": "api_token"}, "SecretName": "till_api_token_2"}],
            Change("secret api_token", "till_api_token_1", "till_api_token_2"),
        ),
        (
            f"{CONTAINER}.Secrets",
            [{"File": {"Name": "api_token", "Mode": 0o400}, "SecretName": "till_api_token_1"}],
            Change("secret api_token", "till_api_token_1", "till_api_token_1 mode=0400"),
        ),
        (f"{CONTAINER}.Env", ["LOG_LEVEL="], Change("environment LOG_LEVEL", "info", '""')),
        (f"{CONTAINER}.Labels", {"a": ""}, Change("container label a", "", '""')),
        (
            f"{TASK}.Networks",
            [{"Target": "a1", "Aliases": ["b"], "DriverOpts": {"c": "d"}}],
            Change("network a1", "", "b, c=d"),
        ),
        (
            "EndpointSpec.Ports",
            [{"TargetPort": 8000, "PublishedPort": n, "PublishMode": "host"} for n in (80, 81)],
            Change("port 8000", "80 host", "80 host, 81 host"),
        ),
        (f"{CONTAINER}.ReadOnly", False, Change("read_only", "yes", "")),
        (f"{CONTAINER}.CapabilityDrop", None, Change("cap_drop", "ALL", "")),
        (f"{CONTAINER}.StopGracePeriod", 60 * 10**9, Change("stop_grace_period", "10 s", "60 s")),
        (f"{CONTAINER}.Command", ["a", "b"], Change("entrypoint", "", '["a", "b"]')),
        (f"{CONTAINER}.Args", ["b", "a"], Change("command", "", '["b", "a"]')),
        (f"{CONTAINER}.Healthcheck.Interval", 10**9, Change("healthcheck interval", "", "1 s")),
        (f"{CONTAINER}.Labels", {"a.b": "c"}, Change("container label a.b", "", "c")),
        (f"{CONTAINER}.Sysctls", {"net.x": "1"}, Change("sysctl net.x", "", "1")),
        ("Labels", {"team": "till"}, Change("label team", "", "till")),
        ("Labels", {"com.docker.stack.image": "x"}, None),
        ("Labels", {"imageproof.reconciled-at": "now"}, None),
        (f"{TASK}.ForceUpdate", 3, None),
        (f"{TASK}.Runtime", "container", None),
        (f"{TASK}.Networks", [{"Target": "till_net"}], Change("network till_net", "", "yes")),
        (f"{TASK}.LogDriver", {"Name": "local"}, Change("log driver name", "", "local")),
        (f"{TASK}.RestartPolicy.Delay", 10**9, Change("restart policy delay", "", "1 s")),
        (f"{TASK}.Resources.Limits.NanoCPUs", 2 * 10**9, Change("limits cpus", "1", "2")),
        ("Mode", {"Replicated": {"Replicas": 3}}, Change("replicas", "1", "3")),
        ("Mode", {"Replicated": {"Replicas": 0}}, Change("replicas", "1", "0")),
        ("Mode", {"Replicated": {}}, None),
        ("EndpointSpec.Mode", "vip", Change("endpoint", "dnsrr", "")),
        (
            "EndpointSpec.Ports",
            [{"TargetPort": 8000, "PublishedPort": 81, "PublishMode": "host", "Protocol": "tcp"}],
            Change("port 8000", "80 host", "81 host"),
        ),
        ("UpdateConfig.FailureAction", "pause", Change("on failure", "rollback", "pause")),
        ("UpdateConfig.Monitor", 50 * 10**9, Change("update monitor", "", "50 s")),
        ("UpdateConfig.Parallelism", 0, Change("update parallelism", "1", "0")),
        ("UpdateConfig.Parallelism", 1, None),
        ("RollbackConfig", {"Order": "stop-first", "FailureAction": "pause"}, None),
    ],
)
def test_each_changed_setting_is_listed(path, value, change):
    (service,) = _plan(shop=_changed(path, value))
    assert service.changes == ((change,) if change else ())
    assert service.kind == ("changed" if change else "unchanged")


def test_setting_without_a_name_of_its_own_is_compared_too():
    assert (
        settings(_changed("SomethingNew.DeepInside", "x"), {})["something new deep inside"] == "x"
    )


def test_network_is_shown_by_its_name():
    with_id = _changed("TaskTemplate.Networks", [{"Target": "a1b2", "Aliases": ["shop"]}])
    assert settings(with_id, {"a1b2": "till_default"})["network till_default"] == "shop"


def test_new_and_removed_services_are_listed():
    plans = _plan(office=spec())
    assert [(p.service, p.kind) for p in plans] == [("office", "new"), ("shop", "removed")]


def test_secret_variable_is_listed_without_its_value():
    environment = ["LOG_LEVEL=info", f"API_TOKEN={SECRET}"]
    (service,) = _plan(shop=spec(Env=environment))
    assert service.changes == (Change("environment API_TOKEN", "", "(hidden)"),)


def test_changed_secret_variable_is_listed_without_its_values(monkeypatch):
    changes = list(
        planning._changes({"environment API_TOKEN": "a"}, {"environment API_TOKEN": "b"})
    )
    assert changes == [Change("environment API_TOKEN", "(hidden)", "(hidden)")]


def _plan_deployment(monkeypatch, tmp_path, new_spec, secrets, records):
    """Plan a deployment for which the docker program would send this specification."""
    secret = Secret("till_api_token_2", SECRET)
    file = StackFile(tmp_path / "stack.yaml", "till", {}, (secret,), "c0ffee")
    requests = [
        dry_run.Change("POST", "services", "s1", {**new_spec, "Name": "till_shop"}),
        dry_run.Change("POST", "networks", "create", {"Name": "till_net"}),
    ]
    recorder = SimpleNamespace(changes=requests)
    recorded = contextlib.nullcontext((None, recorder))
    monkeypatch.setattr(planning, "recording", lambda *_: recorded)
    monkeypatch.setattr(planning, "post", lambda *_: None)
    snapshot = Snapshot((task("t1"),))
    engine = fake_engine(snapshot, secrets=secrets, configs=records)
    plan = planning.plan_deployment(engine, file)
    assert list(commands(engine)) == []
    return plan


def test_planned_deployment_lists_secrets_networks_and_the_release(monkeypatch, tmp_path):
    rotated = [{"File": {"Name": "api_token"}, "SecretName": "till_api_token_2"}]
    plan = _plan_deployment(
        monkeypatch,
        tmp_path,
        spec(NEW, Secrets=rotated),
        ["till_api_token_0", "till_api_token_1"],
        {},
    )
    assert [service.kind for service in plan.services] == ["changed"]
    assert plan.others == (
        "secret till_api_token_2: new",
        "network till_net: new",
        "release 2: recorded if all tasks become healthy",  # 1: what runs now
        "secret till_api_token_0: removed",  # release 1 uses the other one
    )


def test_planned_deployment_without_a_change_records_nothing(monkeypatch, tmp_path):
    record = Record(number=1, origin=1, specs={"shop": spec()}).model_dump_json()
    names = ["till_api_token_1", "till_api_token_2"]
    plan = _plan_deployment(monkeypatch, tmp_path, spec(), names, {"one": record})
    assert plan.others == ("network till_net: new", "secret till_api_token_2: removed")


# --- the recorded dry run


def _send(engine: Engine, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request to the socket of an engine."""
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(engine.host).removeprefix("unix://"))
    connection.request(method, path, body=None if body is None else json.dumps(body))
    with connection.getresponse() as response:
        text = response.read()
    connection.close()
    return response.status, json.loads(text) if text else None


def _passing(answers: dict[str, Any]) -> Any:
    """Return an engine with these answers to GET requests."""

    def exchange(_: str, method: str, path: str) -> Answer:
        assert method in ("GET", "HEAD"), "a dry run changes nothing"
        return Answer(200, {"Api-Version": "1.45"}, json.dumps(answers[path]).encode())

    return SimpleNamespace(exchange=exchange)


@pytest.fixture
def recorded(monkeypatch):
    """Record the requests to a fake engine."""
    monkeypatch.setattr(dry_run, "replace", lambda _, **changes: SimpleNamespace(**changes))
    return lambda answers, *secrets: dry_run.recording(_passing(answers), secrets)


def test_reading_requests_are_passed_on_and_others_recorded(recorded):
    with recorded({"/v1.45/services": [1]}) as (engine, recorder):
        assert _send(engine, "GET", "/v1.45/services") == (200, [1])
        assert _send(engine, "POST", "/v1.45/services/create", {"Name": "till_shop"})[0] == 200
        assert _send(engine, "POST", "/v1.45/services/s1/update?version=7", {"Name": "x"})[0] == 200
        assert _send(engine, "DELETE", "/v1.45/services/s2")[0] == 200
    assert [(c.method, c.kind, c.object) for c in recorder.changes] == [
        ("POST", "services", "create"),
        ("POST", "services", "s1"),
        ("DELETE", "services", "s2"),
    ]
    assert recorder.changes[0].body == {"Name": "till_shop"}


def test_secrets_and_configs_that_would_exist_are_listed(recorded):
    answers = {"/secrets?filters=x": [{"Spec": {"Name": "old"}}], "/configs": None}
    with recorded(answers, "till_api_token_2") as (engine, _):
        _send(engine, "POST", "/secrets/create", {"Name": "till_file"})
        _, secrets = _send(engine, "GET", "/secrets?filters=x")
        assert _send(engine, "GET", "/configs") == (200, [])
    assert [item["Spec"]["Name"] for item in secrets] == ["old", "till_api_token_2", "till_file"]


def test_engine_that_does_not_answer_is_reported_to_the_docker_program(recorded, monkeypatch):
    def exchange(*_):
        raise EngineUnavailable("reading", "the Docker engine does not answer")

    with recorded({}) as (engine, recorder):
        recorder.engine.exchange = exchange
        assert _send(engine, "GET", "/services")[0] == 503
