"""Tests of the facts of containers: every part, or the reason why it could not be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.docker.client import service_of
from imageproof.errors import ConfigurationError, MachineError, StackFailed
from imageproof.runtime import containers
from imageproof.runtime.containers import ContainerFacts, read_containers, requested_limits
from imageproof.runtime.probe_client import Limits, ProbeResult
from tests.support.sample_facts import SECRET, process, service_contract, writes

ENV = ["PATH=/bin", "LANG=C.UTF-8"]
IMAGE = {"Id": "sha256:1", "Architecture": "amd64", "Config": {"Env": ENV}}
STARTED = 1_000_000_000_000


def _inspected(service: str = "shop", number: int = 1, **state: Any) -> dict[str, Any]:
    """Return a container as `docker inspect` reports it."""
    host = state.pop("HostConfig", {})
    return {
        "Id": f"{service}{number}" * 10,
        "Name": f"/{service}-{number}",
        "Image": "sha256:1",
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "HostConfig": host,
        "State": {
            "Status": "running",
            "StartedAt": "2026-01-02T03:04:05Z",
            "Health": {"Status": "healthy"},
            **state,
        },
    }


class Engine:
    """A fake engine with containers of one image."""

    def __init__(self, *containers: dict[str, Any], **changes: Any) -> None:
        self.inspected = containers
        self.log: Any = ["one", "two"]
        self.diff: Any = {"/tmp": "C", "/app": "A"}
        self.passed: Any = {"LOG_LEVEL": "info", "PRICE": "5$$", "UNSET": None, "NUMBER": 3}
        self.event_times: Any = ()
        self.images: Any = [IMAGE]
        vars(self).update(changes)
        container = SimpleNamespace(
            diff=lambda _: _raise_or_return(self.diff),
            logs=lambda _, tail: "\n".join(_raise_or_return(self.log)[-tail:]),
        )
        self.whales = SimpleNamespace(container=container)

    def containers(self, services: list[str]) -> list[dict[str, Any]]:
        return [c for c in self.inspected if service_of(c) in services]

    def inspect(self, kind: str, names: list[str]) -> Any:
        return _raise_or_return(self.images)

    def compose_model(self, *, interpolate: bool) -> dict[str, Any]:
        assert interpolate
        return {"services": {"shop": {"environment": _raise_or_return(self.passed)}}}

    def events(self, container: str, since: str, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {"Action": a, "timeNano": STARTED + at * 10**9}
            for a, at in _raise_or_return(self.event_times)
        ]


def _raise_or_return(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


PROBED = ProbeResult(
    (process(),), (), Limits(1, 2, 3.0), writes(), {"PATH": "digest"}, ("/", "/tmp")
)


@pytest.fixture(autouse=True)
def probes(monkeypatch) -> SimpleNamespace:
    """Fake probes: the result `service` beside a container, `idle` beside an idle one."""
    fake = SimpleNamespace(
        service=PROBED, idle=ProbeResult(writes=writes("/x")), calls=[], idle_calls=[]
    )

    def run_probe(
        _engine: Any, name: str, image: str, writable: Any, **options: Any
    ) -> ProbeResult:
        fake.calls.append((name, image, tuple(writable), options))
        return _raise_or_return(fake.idle if options.get("throwaway") else fake.service)

    @contextlib.contextmanager
    def idle_container(_engine: Any, image: str, architecture: str, user: str) -> Iterator[str]:
        fake.idle_calls.append((image, architecture, user))
        yield "imageproof-idle"

    monkeypatch.setattr(containers, "run_probe", run_probe)
    monkeypatch.setattr(containers, "idle_container", idle_container)
    return fake


def _read(engine: Any, probe: str | None = "base", **changes: Any) -> ContainerFacts:
    (facts,) = read_containers(engine, {"shop": service_contract(**changes)}, probe)["shop"]
    return facts


def test_every_part_is_read(probes):
    facts = _read(Engine(_inspected(), event_times=[("start", 0), ("health_status: healthy", 3)]))
    assert (facts.name, facts.status, facts.health, facts.restarts) == (
        "shop-1",
        "running",
        "healthy",
        0,
    )
    assert (facts.processes, facts.sockets, facts.limits) == (
        PROBED.processes,
        PROBED.sockets,
        PROBED.limits,
    )
    assert (facts.writes, facts.image_writes, facts.mounts) == (
        writes(),
        writes("/x"),
        ("/", "/tmp"),
    )
    assert facts.changed == ("/app", "/tmp")
    assert facts.ready_after == 3
    assert (facts.unknown, dict(facts.unknown_parts)) == ("", {})
    assert not facts.out_of_memory


def test_only_the_probe_of_the_idle_container_may_open_files(probes):
    container = _inspected()
    _read(Engine(container), writable=["/tmp", "/var/x"])
    calls = {name: (image, paths, options) for name, image, paths, options in probes.calls}
    image, paths, options = calls[container["Id"]]
    assert (image, paths) == ("base", ("/tmp", "/var/x"))
    assert not options.get("throwaway")
    assert len(options["key"]) == 16
    assert calls["imageproof-idle"][2] == {"throwaway": True}
    assert probes.idle_calls == [("sha256:1", "amd64", "10001:10001")]


def test_containers_are_grouped_and_an_image_is_probed_once(probes):
    engine = Engine(_inspected("a", 1), _inspected("a", 2), _inspected("b", 1))
    images = {
        "first": service_contract(service="a"),
        "second": service_contract(service="b"),
        "none": service_contract(service="c"),
    }
    facts = read_containers(engine, images, "base")
    assert {name: [each.name for each in group] for name, group in facts.items()} == {
        "first": ["a-1", "a-2"],
        "second": ["b-1"],
        "none": [],
    }
    assert len(probes.idle_calls) == 1
    assert all(each.image_writes == writes("/x") for group in facts.values() for each in group)


# --- parts that cannot be read

PARTS = ("processes", "sockets", "limits", "writes", "image_writes", "environment")


def _reasons(facts: ContainerFacts) -> set[str]:
    """Return why the probe's parts are missing, all of which must be."""
    assert all(getattr(facts, part) is None for part in PARTS)
    return {facts.reason(part) for part in PARTS}


def test_without_a_base_image_the_parts_have_a_reason():
    assert _reasons(_read(Engine(_inspected()), None)) == {
        "there is no base image to run the probe in"
    }


@pytest.mark.parametrize("status", ["exited", "restarting", "created", "dead"])
def test_container_that_does_not_run_is_not_probed(status):
    assert _reasons(_read(Engine(_inspected(Status=status)))) == {f"the container is {status}"}


def test_paused_container_is_probed():
    assert _read(Engine(_inspected(Status="paused"))).processes == PROBED.processes


def test_container_with_shared_processes_is_not_probed(probes):
    (reason,) = _reasons(_read(Engine(_inspected(HostConfig={"PidMode": "host"}))))
    assert "shares the processes of host" in reason
    assert probes.calls == []


@pytest.mark.parametrize("error", [StackFailed("looking", "no room"), ValueError("not JSON")])
def test_failed_probe_leaves_all_parts_unknown(probes, error):
    probes.service = probes.idle = error
    assert _reasons(_read(Engine(_inspected()))) == {str(error)}


def test_failed_idle_container_leaves_the_other_parts(probes, monkeypatch):
    def refuse(*_: object) -> Any:
        raise MachineError("starting", "it is for the machine 'mips'")

    monkeypatch.setattr(containers, "idle_container", refuse)
    facts = _read(Engine(_inspected()))
    assert facts.image_writes is None
    assert "mips" in facts.reason("image_writes")
    assert facts.writes == writes()


def test_part_that_the_probe_cannot_read_has_its_reason(probes):
    probes.service = ProbeResult(
        (process(),), unknown={"sockets": "denied", "environment": "hidden"}
    )
    probes.idle = ProbeResult(unknown={"writes": "no root"})
    facts = _read(Engine(_inspected()))
    assert facts.processes == (process(),)
    assert facts.reason("sockets") == "denied"
    assert facts.reason("environment") == "hidden"
    assert facts.reason("image_writes") == "no root"
    assert facts.reason("limits") == "the probe did not report its limits"


def test_removed_image_leaves_its_parts_unknown():
    facts = _read(Engine(_inspected(), images=StackFailed("inspecting", "no such image")))
    assert facts.image_writes is facts.environment is None
    assert (
        facts.reason("image_writes")
        == facts.reason("environment")
        == "its image was removed from the engine"
    )


def test_unreported_changes_are_unknown():
    facts = _read(Engine(_inspected(), diff=StackFailed("comparing", "no")))
    assert facts.changed is None
    assert "docker diff" in facts.reason("changed")


def test_without_mounts_the_changes_are_unknown(probes):
    assert _read(Engine(_inspected(Status="exited"))).changed is None
    probes.service = ProbeResult((process(),), unknown={"mounts": "denied"})
    facts = _read(Engine(_inspected()))
    assert facts.changed is None
    assert facts.reason("changed") == "denied"


# --- environment


def test_environment_is_compared_by_digests(monkeypatch):
    received: dict[str, str] = {}

    def answer(*arguments: Any, **options: Any) -> ProbeResult:
        if options.get("throwaway"):
            return ProbeResult(writes=writes())
        values = {"LOG_LEVEL": "info", "PRICE": "5$", "NUMBER": "3", "PATH": "/bin"}
        received.update(containers._digests(values, options["key"]))
        return ProbeResult(environment=received)

    monkeypatch.setattr(containers, "run_probe", answer)
    facts = _read(Engine(_inspected()))
    assert facts.environment
    assert facts.environment.passed.keys() == {"LOG_LEVEL", "PRICE", "NUMBER"}
    assert facts.environment.image.keys() == {"PATH", "LANG"}
    for name, digest in facts.environment.passed.items():
        assert received[name] == digest
    assert facts.environment.image["PATH"] == received["PATH"]


def test_each_reading_has_its_own_digests():
    first, second = (_read(Engine(_inspected())).environment for _ in range(2))
    assert first
    assert second
    assert first.passed["LOG_LEVEL"] != second.passed["LOG_LEVEL"]


def test_facts_hold_no_value_of_a_variable():
    facts = _read(Engine(_inspected(), passed={"API_TOKEN": SECRET}))
    assert facts.environment
    assert SECRET not in repr(facts)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (lambda: Engine(_inspected(), passed=ConfigurationError("reading", "no file")), "no file"),
        (lambda: Engine(_inspected("other")), "the compose file has no service other"),
    ],
)
def test_without_a_compose_service_the_environment_is_unknown(engine, reason):
    fake = engine()
    facts = _read(fake, service=service_of(fake.inspected[0]))
    assert facts.environment is None
    assert reason in facts.reason("environment")


# --- health


def _health(**changes: Any) -> dict[str, Any]:
    return {"Health": {"Status": "unhealthy", "Log": [{"Output": "old"}], **changes}}


def test_health_output_is_its_last_lines_without_secrets():
    output = f"a\nb\nc\nrefused\nAPI_TOKEN={SECRET}\n\x1b[31mred\n"
    facts = _read(Engine(_inspected(**_health(Log=[{"Output": "old"}, {"Output": output}]))))
    assert facts.health_output == "refused | API_TOKEN=*** | red"


def test_log_of_an_unhealthy_container_has_no_secrets():
    lines = [f"line {number}" for number in range(20)] + [f"API_TOKEN={SECRET}"]
    facts = _read(Engine(_inspected(**_health()), log=lines))
    assert len(facts.log) == 10
    assert facts.log[-1] == "API_TOKEN=***"


def test_log_of_a_healthy_container_is_not_read():
    assert _read(Engine(_inspected(), log=AssertionError("it was read"))).log == ()


@pytest.mark.parametrize(
    ("event_times", "ready"),
    [
        ([("start", 0), ("health_status: unhealthy", 1), ("health_status: healthy", 9)], 9),
        ([("start", 2), ("health_status: healthy", 9), ("health_status: healthy", 20)], 7),
        ([("health_status: healthy", 9)], None),  # the engine has forgotten the start
        ([("start", 0)], None),
        ([], None),
        (StackFailed("reading the events", "no"), None),
    ],
)
def test_time_to_healthy_needs_both_events(event_times, ready):
    assert _read(Engine(_inspected(), event_times=event_times)).ready_after == ready


@pytest.mark.parametrize(
    ("killed", "kills", "out_of_memory"), [(True, 0, True), (False, 1, True), (False, 0, False)]
)
def test_kill_for_lack_of_memory_is_reported(probes, killed, kills, out_of_memory):
    probes.service = ProbeResult((process(),), kills=kills)
    assert _read(Engine(_inspected(OOMKilled=killed))).out_of_memory is out_of_memory


@pytest.mark.parametrize(
    ("host_config", "limits"),
    [
        ({"Memory": 5, "NanoCpus": 1_500_000_000, "PidsLimit": 64}, Limits(5, 64, 1.5)),
        ({"CpuQuota": 50_000, "CpuPeriod": 0}, Limits(None, None, 0.5)),
        ({"CpuQuota": 50_000, "CpuPeriod": 25_000}, Limits(None, None, 2)),
        ({"Memory": 0, "NanoCpus": 0, "PidsLimit": -1}, Limits()),
        ({"PidsLimit": None}, Limits()),
    ],
)
def test_requested_limits_are_read_from_the_host_config(host_config, limits):
    assert requested_limits(host_config) == limits
