"""imageproof.runtime.containers: every part of a container's facts, or why nobody could look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.docker.client import service_of
from imageproof.errors import ConfigurationError, MachineError, StackFailed
from imageproof.runtime import containers
from imageproof.runtime.containers import ContainerFacts, requested_limits, read_containers
from imageproof.runtime.probe_client import Limits, Seen
from tests.support.sample_facts import SECRET, process, service_contract, writes

ENV = ["PATH=/bin", "LANG=C.UTF-8"]
IMAGE = {"Id": "sha256:1", "Architecture": "amd64", "Config": {"Env": ENV}}
STARTED = 1_000_000_000_000


def _found(service: str = "shop", number: int = 1, **state: Any) -> dict[str, Any]:
    """A container as `docker inspect` tells of it."""
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
    """An engine that knows some containers of one image."""

    def __init__(self, *containers: dict[str, Any], **changes: Any) -> None:
        self.found = containers
        self.log: Any = ["one", "two"]
        self.diff: Any = {"/tmp": "C", "/app": "A"}
        self.passed: Any = {"LOG_LEVEL": "info", "PRICE": "5$$", "UNSET": None, "NUMBER": 3}
        self.happened: Any = ()
        self.images: Any = [IMAGE]
        vars(self).update(changes)
        of = SimpleNamespace(
            diff=lambda _: _raising(self.diff),
            logs=lambda _, tail: "\n".join(_raising(self.log)[-tail:]),
        )
        self.docker = SimpleNamespace(container=of)

    def containers(self, services: list[str]) -> list[dict[str, Any]]:
        return [c for c in self.found if service_of(c) in services]

    def inspect(self, kind: str, names: list[str]) -> Any:
        return _raising(self.images)

    def compose_model(self, *, interpolate: bool) -> dict[str, Any]:
        assert interpolate
        return {"services": {"shop": {"environment": _raising(self.passed)}}}

    def events(self, container: str, since: str, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {"Action": a, "timeNano": STARTED + at * 10**9} for a, at in _raising(self.happened)
        ]


def _raising(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


SEEN = Seen((process(),), (), Limits(1, 2, 3.0), writes(), {"PATH": "digest"}, ("/", "/tmp"))


@pytest.fixture(autouse=True)
def probes(monkeypatch) -> SimpleNamespace:
    """What the probes see: `service` beside a container, `bare` beside an idle one."""
    seen = SimpleNamespace(service=SEEN, bare=Seen(writes=writes("/x")), asked=[], idle=[])

    def look_into(_engine: Any, name: str, image: str, writable: Any, **options: Any) -> Seen:
        seen.asked.append((name, image, tuple(writable), options))
        return _raising(seen.bare if options.get("throwaway") else seen.service)

    @contextlib.contextmanager
    def idle(_engine: Any, image: str, architecture: str, user: str) -> Iterator[str]:
        seen.idle.append((image, architecture, user))
        yield "imageproof-idle"

    monkeypatch.setattr(containers, "look_into", look_into)
    monkeypatch.setattr(containers, "idle", idle)
    return seen


def _read(engine: Any, probe: str | None = "base", **changes: Any) -> ContainerFacts:
    (facts,) = read_containers(engine, {"shop": service_contract(**changes)}, probe)["shop"]
    return facts


def test_all_that_was_seen_is_there(probes):
    facts = _read(Engine(_found(), happened=[("start", 0), ("health_status: healthy", 3)]))
    assert (facts.name, facts.status, facts.health, facts.restarts) == (
        "shop-1",
        "running",
        "healthy",
        0,
    )
    assert (facts.processes, facts.sockets, facts.limits) == (
        SEEN.processes,
        SEEN.sockets,
        SEEN.limits,
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


def test_the_probe_is_asked_by_the_contract_and_the_other_one_may_touch(probes):
    found = _found()
    _read(Engine(found), writable=["/tmp", "/var/x"])
    asked_ = {name: (image, paths, options) for name, image, paths, options in probes.asked}
    image, paths, options = asked_[found["Id"]]
    assert (image, paths) == ("base", ("/tmp", "/var/x"))
    assert not options.get("throwaway")
    assert len(options["key"]) == 16
    assert asked_["imageproof-idle"][2] == {"throwaway": True}
    assert probes.idle == [("sha256:1", "amd64", "10001:10001")]


def test_the_stack_is_read_by_image_and_an_image_is_tried_once(probes):
    engine = Engine(_found("a", 1), _found("a", 2), _found("b", 1))
    images = {
        "first": service_contract(service="a"),
        "second": service_contract(service="b"),
        "none": service_contract(service="c"),
    }
    found = read_containers(engine, images, "base")
    assert {name: [facts.name for facts in each] for name, each in found.items()} == {
        "first": ["a-1", "a-2"],
        "second": ["b-1"],
        "none": [],
    }
    assert len(probes.idle) == 1
    assert all(facts.image_writes == writes("/x") for each in found.values() for facts in each)


# --- what could not be looked at

PARTS = ("processes", "sockets", "limits", "writes", "image_writes", "environment")


def _blind(facts: ContainerFacts) -> set[str]:
    """Why the parts are not there, each of which must be missing."""
    assert all(getattr(facts, part) is None for part in PARTS)
    return {facts.why(part) for part in PARTS}


def test_without_a_base_image_nothing_is_seen_and_it_says_why():
    assert _blind(_read(Engine(_found()), None)) == {"there is no base image to make the probe of"}


@pytest.mark.parametrize("status", ["exited", "restarting", "created", "dead"])
def test_nothing_is_seen_of_a_container_that_does_not_run(status):
    assert _blind(_read(Engine(_found(Status=status)))) == {f"the container is {status}"}


def test_a_container_that_is_paused_is_looked_into():
    assert _read(Engine(_found(Status="paused"))).processes == SEEN.processes


def test_processes_that_are_not_its_own_are_not_taken_for_its_own(probes):
    (why,) = _blind(_read(Engine(_found(HostConfig={"PidMode": "host"}))))
    assert "shares the processes of host" in why
    assert probes.asked == []


@pytest.mark.parametrize("error", [StackFailed("looking", "no room"), ValueError("not JSON")])
def test_a_probe_that_fails_leaves_everything_unknown(probes, error):
    probes.service = probes.bare = error
    assert _blind(_read(Engine(_found()))) == {str(error)}


def test_an_idle_container_that_cannot_be_had_leaves_the_rest(probes, monkeypatch):
    def refuse(*_: object) -> Any:
        raise MachineError("starting", "it is for the machine 'mips'")

    monkeypatch.setattr(containers, "idle", refuse)
    facts = _read(Engine(_found()))
    assert facts.image_writes is None
    assert "mips" in facts.why("image_writes")
    assert facts.writes == writes()


def test_a_part_that_the_probe_could_not_see_keeps_its_reason(probes):
    probes.service = Seen((process(),), unknown={"sockets": "denied", "environment": "hidden"})
    probes.bare = Seen(unknown={"writes": "no root"})
    facts = _read(Engine(_found()))
    assert facts.processes == (process(),)
    assert facts.why("sockets") == "denied"
    assert facts.why("environment") == "hidden"
    assert facts.why("image_writes") == "no root"
    assert facts.why("limits") == "the probe does not say its limits"


def test_an_image_that_is_gone_leaves_its_part_unknown():
    facts = _read(Engine(_found(), images=StackFailed("inspecting", "no such image")))
    assert facts.image_writes is facts.environment is None
    assert facts.why("image_writes") == facts.why("environment") == "its image is no longer there"


def test_an_engine_that_does_not_tell_changes_is_no_sign_of_none():
    facts = _read(Engine(_found(), diff=StackFailed("comparing", "no")))
    assert facts.changed is None
    assert "docker diff" in facts.why("changed")


def test_without_its_mounts_nobody_knows_what_the_engine_changed(probes):
    assert _read(Engine(_found(Status="exited"))).changed is None
    probes.service = Seen((process(),), unknown={"mounts": "denied"})
    facts = _read(Engine(_found()))
    assert facts.changed is None
    assert facts.why("changed") == "denied"


# --- environment


def test_what_is_passed_is_known_by_digests_alone(monkeypatch):
    received: dict[str, str] = {}

    def answer(*arguments: Any, **options: Any) -> Seen:
        if options.get("throwaway"):
            return Seen(writes=writes())
        values = {"LOG_LEVEL": "info", "PRICE": "5$", "NUMBER": "3", "PATH": "/bin"}
        received.update(containers._digests(values, options["key"]))
        return Seen(received=received)

    monkeypatch.setattr(containers, "look_into", answer)
    facts = _read(Engine(_found()))
    assert facts.environment
    assert facts.environment.passed.keys() == {"LOG_LEVEL", "PRICE", "NUMBER"}
    assert facts.environment.image.keys() == {"PATH", "LANG"}
    for name, digest in facts.environment.passed.items():
        assert received[name] == digest
    assert facts.environment.image["PATH"] == received["PATH"]


def test_two_looks_have_no_digest_in_common():
    first, second = (_read(Engine(_found())).environment for _ in range(2))
    assert first
    assert second
    assert first.passed["LOG_LEVEL"] != second.passed["LOG_LEVEL"]


def test_no_value_of_a_variable_is_kept():
    facts = _read(Engine(_found(), passed={"API_TOKEN": SECRET}))
    assert facts.environment
    assert SECRET not in repr(facts)


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (lambda: Engine(_found(), passed=ConfigurationError("reading", "no file")), "no file"),
        (lambda: Engine(_found("other")), "the compose file has no service other"),
    ],
)
def test_without_the_compose_file_nobody_knows_what_was_passed(engine, why):
    made = engine()
    facts = _read(made, service=service_of(made.found[0]))
    assert facts.environment is None
    assert why in facts.why("environment")


# --- health


def _health(**changes: Any) -> dict[str, Any]:
    return {"Health": {"Status": "unhealthy", "Log": [{"Output": "old"}], **changes}}


def test_the_last_words_of_a_health_check_are_its_last_lines_without_secrets():
    output = f"a\nb\nc\nrefused\nAPI_TOKEN={SECRET}\n\x1b[31mred\n"
    facts = _read(Engine(_found(**_health(Log=[{"Output": "old"}, {"Output": output}]))))
    assert facts.health_output == "refused | API_TOKEN=*** | red"


def test_the_log_of_what_is_not_well_is_kept_without_secrets():
    lines = [f"line {number}" for number in range(20)] + [f"API_TOKEN={SECRET}"]
    facts = _read(Engine(_found(**_health()), log=lines))
    assert len(facts.log) == 10
    assert facts.log[-1] == "API_TOKEN=***"


def test_the_log_of_what_is_well_is_not_read():
    assert _read(Engine(_found(), log=AssertionError("it was read"))).log == ()


@pytest.mark.parametrize(
    ("happened", "ready"),
    [
        ([("start", 0), ("health_status: unhealthy", 1), ("health_status: healthy", 9)], 9),
        ([("start", 2), ("health_status: healthy", 9), ("health_status: healthy", 20)], 7),
        ([("health_status: healthy", 9)], None),  # the engine has forgotten the start
        ([("start", 0)], None),
        ([], None),
        (StackFailed("asking", "no"), None),
    ],
)
def test_the_time_to_healthy_is_known_where_the_engine_still_knows_both(happened, ready):
    assert _read(Engine(_found(), happened=happened)).ready_after == ready


@pytest.mark.parametrize(
    ("killed", "kills", "told"), [(True, 0, True), (False, 1, True), (False, 0, False)]
)
def test_a_kill_for_want_of_memory_is_known_to_the_engine_or_to_the_kernel(
    probes, killed, kills, told
):
    probes.service = Seen((process(),), kills=kills)
    assert _read(Engine(_found(OOMKilled=killed))).out_of_memory is told


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({"Memory": 5, "NanoCpus": 1_500_000_000, "PidsLimit": 64}, Limits(5, 64, 1.5)),
        ({"CpuQuota": 50_000, "CpuPeriod": 0}, Limits(None, None, 0.5)),
        ({"CpuQuota": 50_000, "CpuPeriod": 25_000}, Limits(None, None, 2)),
        ({"Memory": 0, "NanoCpus": 0, "PidsLimit": -1}, Limits()),
        ({"PidsLimit": None}, Limits()),
    ],
)
def test_what_the_engine_was_told_is_read_from_its_configuration(given, limits):
    assert requested_limits(given) == limits
