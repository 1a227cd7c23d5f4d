"""Faults and near misses of the run.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.deep.stack_trial import TrialFacts
from imageproof.runtime.containers import ContainerFacts, EnvironmentDigests
from imageproof.runtime.probe_client import Limits, Socket
from imageproof.runtime.programs import ProgramFacts, ProgramRun, SmokeRun
from tests.support.sample_facts import (
    Case,
    container,
    process,
    service_contract,
    with_process,
    writes,
)

TERM = 1 << 14
TEST = {"command": ["shop", "check"], "answers": "^ready$", "within": 20}
SMOKE = service_contract(smoke=[TEST])
SOON = service_contract(health={"notices_within": 45, "ready_within": 8})


def _answer(answer: str, status: int | None = 0) -> ProgramFacts:
    return ProgramFacts({"python": ProgramRun(answer, status)})


def _smoked(status: int | None, *output: str, **changes: Any) -> ProgramFacts:
    return ProgramFacts(smokes=(SmokeRun(("shop", "check"), status, output, **changes),))


def _listening(*sockets: Socket, **changes: Any) -> list[ContainerFacts]:
    """Return a container that listens on these sockets and on its own port."""
    return [container(sockets=(Socket("tcp", "0.0.0.0", 8000, 1), *sockets), **changes)]


def _listening_only(address: str, protocol: str = "tcp", port: int = 8000) -> list[ContainerFacts]:
    return [container(sockets=(Socket(protocol, address, port, 1),))]


def _limited(**changes: Any) -> list[ContainerFacts]:
    return [container(limits=replace(container().limits or Limits(), **changes))]


def _environment(**changes: Any) -> list[ContainerFacts]:
    good = container().environment or EnvironmentDigests({}, {}, {})
    return [container(environment=replace(good, **changes))]


def _received(**changes: str) -> list[ContainerFacts]:
    good = container().environment or EnvironmentDigests({}, {}, {})
    return _environment(received={**good.received, **changes})


def _wrote(*paths: str) -> list[ContainerFacts]:
    return [container(changed=paths)]


TRIAL = TrialFacts(
    bound=39,
    unhealthy_after=35.2,
    healthy_after=9.9,
    wait_limit=54,
    stopped_after=0.4,
    exit_status=0,
    orphans=3,
    zombies=0,
    secrets=("API_TOKEN",),
)


def _tried(**changes: Any) -> TrialFacts:
    return replace(TRIAL, **changes)


TRIAL_UNKNOWN = TrialFacts(unknown="the copy did not start")


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "run.capabilities": [
        (with_process(effective=1 << 10), "has the capabilities NET_BIND_SERVICE"),
        (with_process(permitted=1), "CHOWN"),
        (with_process(ambient=1 << 40 | 1 << 21), "SYS_ADMIN CHECKPOINT_RESTORE"),
        (with_process(effective=1 << 50), "50"),
        (with_process(bounding=1 << 13), "can get the capabilities NET_RAW"),
        (with_process(inheritable=1 << 13), "can get the capabilities NET_RAW"),
        ([container(), *with_process(effective=2)], "DAC_OVERRIDE"),
    ],
    "run.environment": [
        (_received(LOG_LEVEL="other"), "another LOG_LEVEL than the compose file"),
        (_environment(passed={"LOG_LEVEL": "3", "API_TOKEN": "9"}), "lacks API_TOKEN"),
        (_received(DEBUG="1"), "has DEBUG, which the compose file lacks"),
        (_received(LANG="other"), "another LANG than its image"),
        (_received(PATH="other"), "another PATH than its image"),
        (_received(HOSTNAME_="x"), "HOSTNAME_"),
        ([container(), *_received(DEBUG="1")], "DEBUG"),
        ([container(environment=None, unknown_parts={"environment": "no file"})], "no file"),
    ],
    "run.health-notices": [
        (_tried(unhealthy_after=None), "not unhealthy after 54 s, the limit is 41 s"),
        (_tried(unhealthy_after=41.1), "after 41.1 s, the limit is 41 s"),
        (_tried(healthy_after=None), "not healthy again"),
        (TRIAL_UNKNOWN, "did not start"),
    ],
    "run.healthy": [
        ([container(status="exited")], "exited"),
        ([container(status="paused")], "paused"),
        ([container(health="unhealthy", health_output="refused")], "health check printed: refused"),
        ([container(health="unhealthy", log=("a", "b"))], "log ends: a | b"),
        ([container(status="exited", log=("killed",))], "killed"),
        ([container(health="starting")], "starting"),
        ([container(health=None)], "without a health check"),
        ([container(ready_after=60.1)], "healthy after 60.1 s, the limit is 60 s"),
        ([container(ready_after=9)], "after 9.0", SOON),
        ([container(restarts=1)], "restarted 1 time, expected 0"),
        ([container(out_of_memory=True)], "memory"),
        ([container(), container(name="shop-2", status="dead")], "shop-2"),
    ],
    "run.limits": [
        (_limited(memory=None), "memory has no limit, 64000000 bytes were requested"),
        (_limited(pids=None), "pids has no limit"),
        (_limited(cpu=None), "1 processors were requested"),
        ([container(limits=Limits(1, 1, None), requested_limits=Limits())], "cpu has no limit"),
        (_limited(pids=None, missing=("pids",)), "does not report a limit of pids"),
        ([container(limits=None, unknown="no probe")], "no probe"),
    ],
    "run.listening": [
        (
            _listening(Socket("tcp", "0.0.0.0", 9000, 1)),
            "(python) listens on 0.0.0.0, tcp port 9000",
        ),
        (_listening(Socket("tcp6", "::", 9000, 1)), "listens on ::"),
        (_listening(Socket("tcp", "172.17.0.2", 9000, 7)), "process 7"),
        (_listening(Socket("tcp", "0.0.0.0", 40000, 1)), "40000"),
        (_listening(Socket("udp", "0.0.0.0", 5353, 1)), "udp port 5353"),
        (_listening(Socket("tcp6", "::ffff:10.0.0.1", 9000, 1)), "9000"),
        (_listening_only("127.0.0.1"), "port 8000 of the contract listens only on the loopback"),
        (_listening_only("::1", "tcp6"), "only on the loopback"),
        (_listening_only("::ffff:127.0.0.1", "tcp6"), "only on the loopback"),
        ([container(sockets=())], "port 8000 of the contract does not listen"),
        (_listening(), "8000", service_contract(ports=[])),
        ([container(sockets=None, unknown_parts={"sockets": "denied"})], "denied"),
        (_listening(processes=()), "no process"),
    ],
    "run.no-new-privileges": [
        (with_process(no_new_privileges=False), "can gain privileges"),
        (
            [container(processes=(process(), process(pid=9, no_new_privileges=False)))],
            "process 9",
        ),
    ],
    "run.nonroot": [
        (
            with_process(uids=(0, 0, 0, 0)),
            "uids (0, 0, 0, 0) and gids (10001, 10001, 10001, 10001), expected 10001:10001",
        ),
        (with_process(uids=(10001, 10001, 0, 10001)), "uids"),
        (with_process(uids=(10001, 0, 10001, 10001)), "uids"),
        (with_process(gids=(0, 0, 0, 0)), "gids"),
        (with_process(gids=(10001, 10001, 10001, 0)), "gids"),
        (with_process(uids=(10002,) * 4), "10002"),
        (with_process(uids=()), "uids ()"),
        (with_process(groups=(10001, 0)), "the group root"),
        (with_process(groups=(10001, 20)), "the group 20, expected only 10001"),
        ([container(processes=(process(), process(pid=9, uids=(0,) * 4)))], "process 9"),
        ([container(), *with_process(uids=(0,) * 4)], "uids"),
    ],
    "run.pid1": [
        (with_process(caught=0), "process 1 (python) has no handler for SIGTERM"),
        (with_process(caught=0, ignored=TERM), "ignores SIGTERM"),
        (with_process(caught=0, ignored=TERM, awaited=None), "ignores SIGTERM"),
        (with_process(caught=TERM << 1), "no handler"),
        (with_process(caught=TERM >> 1, awaited=TERM << 1), "no handler"),
        (with_process(), "no handler for SIGQUIT", service_contract(stop_signal="SIGQUIT")),
        (with_process(), "no handler for 3", service_contract(stop_signal="3")),
        ([container(processes=(process(caught=0), process(pid=7)))], "process 1"),
        (with_process(caught=0, awaited=None), "did not report its awaited"),
        (with_process(pid=7), "no process 1"),
        (
            with_process(),
            "the number of RTMIN+3 is unknown",
            service_contract(stop_signal="RTMIN+3"),
        ),
    ],
    "run.programs": [
        (_answer("Python 3.12.1"), "3.12.1"),
        (_answer(""), "printed '', expected"),
        (_answer("python: libz.so.1 is missing", 127), "status 127"),
        (_answer("Python 3.11.2", 1), "status 1"),
        (_answer("Python 3.11.2", None), "did not end"),
        (ProgramFacts(), "was not run"),
        (ProgramFacts({"python": ProgramRun("", None, "no such image")}), "no such image"),
    ],
    "run.readonly": [
        (
            [container(writes=writes("/app"))],
            "can write /app in the running container; the contract's writable paths: /tmp",
        ),
        ([container(writes=writes("/tmpx"))], "/tmpx"),
        ([container(writes=writes("/"))], "can write / in"),
        ([container(image_writes=writes("/app/code.py"))], "/app/code.py in the image"),
        ([container(writes=writes(read_only=False))], "mounted writable"),
        (_wrote("/app/left"), "/app/left differs from the image"),
        (_wrote("/run/secrets2"), "/run/secrets2"),
        ([container(writes=writes(incomplete="no end"))], "no end"),
        ([container(image_writes=writes(tried=0))], "no path was tried"),
        ([container(image_writes=None, unknown_parts={"image_writes": "no room"})], "no room"),
        ([container(changed=None, unknown_parts={"changed": "no diff"})], "no diff"),
        ([container(), container(name="shop-2", writes=writes("/x"))], "shop-2"),
    ],
    "run.reaps": [
        (_tried(zombies=1), "1 of 3"),
        (_tried(zombies=None), "no child"),
        (_tried(orphans=0), "no child"),
        (TRIAL_UNKNOWN, "did not start"),
    ],
    "run.seccomp": [
        (with_process(seccomp=0), "runs without a filter, expected a seccomp filter"),
        (with_process(seccomp=1), "in strict mode"),
        (with_process(seccomp=7), "in mode 7"),
        ([container(processes=(process(), process(pid=9, seccomp=0)))], "process 9"),
        (with_process(seccomp=None), "does not report"),
    ],
    "run.smoke": [
        (
            _smoked(1, "Traceback", "a", "b", "boom"),
            "status 1, expected 0; it printed: a | b | boom",
            SMOKE,
        ),
        (_smoked(0, "not ready"), "printed not ready, expected", SMOKE),
        (_smoked(0), "printed nothing", SMOKE),
        (_smoked(None, "waiting"), "did not end within 20 s; it printed: waiting", SMOKE),
        (ProgramFacts(), "`shop check`: it was not run", SMOKE),
        (_smoked(None, unknown="no such image"), "no such image", SMOKE),
    ],
    "run.stop": [
        (_tried(exit_status=137, stopped_after=10.2), "killed with status 137"),
        (_tried(exit_status=1), "status 1 after 0.4 s, expected status 0 or 143"),
        (_tried(exit_status=143, stopped_after=10.1), "10.1 s to end, the limit is 10 s"),
        (_tried(exit_status=None), "not stopped"),
        (TRIAL_UNKNOWN, "did not start"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "run.capabilities": [with_process(uids=(0,) * 4)],
    "run.environment": [
        _received(HOSTNAME="x", TERM="y", HOME="z", https_proxy="p", PWD="/"),
        _environment(received={"PATH": "1", "LOG_LEVEL": "3"}),  # the image's LANG was unset
        _environment(
            received={"PATH": "9", "LOG_LEVEL": "3"}, passed={"PATH": "9", "LOG_LEVEL": "3"}
        ),  # the compose file wins over the image
        _environment(received={}, passed={}),
    ],
    "run.health-notices": [TRIAL, _tried(unhealthy_after=41.0), _tried(healthy_after=54)],
    "run.healthy": [
        [container(processes=None)],
        [container(), container(name="shop-2")],
        [container(ready_after=60)],
        [container(ready_after=None)],
        Case([container(ready_after=8)], SOON),
    ],
    "run.limits": [_limited(cpu=0.1), [container(requested_limits=Limits())]],
    "run.listening": [
        _listening(Socket("tcp", "127.0.0.11", 9000, 1)),
        _listening(Socket("tcp6", "::1", 9000, 1)),
        _listening(Socket("tcp6", "::ffff:127.0.0.1", 9000, 1)),
        _listening(Socket("udp", "0.0.0.0", 40000, 1)),  # of a client
        _listening_only("::", "tcp6"),
        _listening_only("172.17.0.2"),
        Case(_listening_only("0.0.0.0", "udp", 53), service_contract(ports=[53])),
        Case(_listening_only("0.0.0.0", "udp", 51820), service_contract(ports=[51820])),
        Case([container(sockets=())], service_contract(ports=[])),
    ],
    "run.no-new-privileges": [with_process(uids=(0,) * 4)],
    "run.nonroot": [
        with_process(groups=()),
        with_process(groups=(10001, 10001)),
        with_process(effective=1),
    ],
    "run.pid1": [
        with_process(caught=0, blocked=TERM),
        with_process(caught=0, awaited=TERM),
        with_process(caught=0, awaited=TERM, ignored=TERM << 1),
        with_process(awaited=None),
        [container(processes=(process(), process(pid=7, caught=0)))],
        Case(with_process(caught=1 << 2), service_contract(stop_signal="SIGQUIT")),
        Case(with_process(caught=1 << 2), service_contract(stop_signal="quit")),
        Case(with_process(caught=1 << 2), service_contract(stop_signal="3")),
    ],
    "run.programs": [
        _answer("Python 3.11.9"),
        ProgramFacts({"python": ProgramRun("Python 3.11.9", 0), "x": ProgramRun("", 1)}),
    ],
    "run.readonly": [
        [container(writes=writes("/tmp/heartbeat", "/tmp/a/b"))],
        [container(image_writes=writes("/tmp", read_only=False))],
        [container(changed=())],
        _wrote("/tmp", "/tmp/left", "/run"),
        _wrote("/run", "/run/secrets", "/run/secrets/token"),
        Case(
            [container(writes=writes("/var/lib/shop"))],
            service_contract(writable=["/tmp", "/var/lib/"]),
        ),
        Case(_wrote("/var", "/var/lib"), service_contract(writable=["/var/lib/shop", "/tmp"])),
    ],
    "run.reaps": [TRIAL],
    "run.seccomp": [with_process(uids=(0,) * 4)],
    "run.smoke": [
        Case(_smoked(0, "starting", "ready", "bye"), SMOKE),
        Case(_smoked(0), service_contract(smoke=[{"command": ["shop", "check"]}])),
        ProgramFacts(),
    ],
    "run.stop": [TRIAL, _tried(exit_status=143, stopped_after=10)],
}
