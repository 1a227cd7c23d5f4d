"""Tests of worker.review: the outcome written for each kind of job."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial

import pytest

from app.reviews import Review, Status
from app.store import Store, StoreError
from tests.support.stored_diffs import read_diff
from worker import lease, review
from worker.assess import Assess, Assessor
from worker.change import Change, FileChange, Version
from worker.child import Bounds, Children
from worker.failure import ReviewError
from worker.lease import LeaseRenewer
from worker.llm import MissingReason, Opinion
from worker.queue import Queue
from worker.review import Reviewer
from worker.stop import StopSignal

UPGRADE = ("left-pad", "^1.2.0", "latest")


def _version(version: str, size: int, **manifest: object) -> Version:
    return Version(version, "sha512-x", 100, size, {"name": "left-pad", **manifest})


CHANGE = Change(
    "left-pad",
    _version("1.2.0", 1000),
    _version("1.3.0", 3000, scripts={"postinstall": "node x.js"}),
    (
        FileChange(
            "a.js",
            "modified",
            "text",
            10,
            added_lines=((1, "let a = 1"),),
            removed_lines=("let a",),
        ),
        FileChange("x.js", "added", "text", 10, added_lines=((1, "1"), (2, "2"))),
        FileChange("z.js", "removed", "text", 0, removed_lines=("1", "2", "3")),
    ),
    "diff --git a/a.js b/a.js\n",
    stats={"lines_added": 30, "lines_removed": 40},  # more than in `files`, which limits cut
)


ANSWER = json.dumps(
    {
        "from": asdict(CHANGE.old),
        "to": asdict(CHANGE.new),
        "files": [asdict(file) for file in CHANGE.files],
        "diff": CHANGE.diff,
        "truncated": False,
        "stats": CHANGE.stats,
        "node_version": "v20",
    }
).encode()


@dataclass
class Bench:
    """Reviewer with a scripted comparison and opinion, and a real store that holds one review."""

    store: Store
    queue: Queue
    successor: Queue
    id: str
    stop: StopSignal = field(default_factory=StopSignal)
    compare: Callable[..., bytes] = lambda *_: ANSWER
    start_assessor: Callable[..., AbstractContextManager[Assess]] = Assessor().start
    summarize: Callable[..., Opinion] = field(
        default=lambda _children, _data, risk: Opinion(risk, missing=MissingReason.DISABLED)
    )
    threshold: float = 0.75

    def review(self) -> Review:
        """Do the job and return the stored review."""
        reviewer = Reviewer(
            queue=self.queue,
            stop=self.stop,
            compare=self.compare,
            start_assessor=self.start_assessor,
            summarize=self.summarize,
            threshold=self.threshold,
        )
        job = self.queue.claim()
        assert job is not None
        reviewer(job)
        stored = self.store.get(self.id)
        assert stored is not None
        return stored


@pytest.fixture
def bench(client) -> Bench:
    store = Store(client)
    submitted, _ = store.submit(*UPGRADE)
    successor = Queue(client, "successor", lease_seconds=0)
    return Bench(store, Queue(client, "first"), successor, submitted.id)


def _raising(error: Exception) -> Callable[..., bytes]:
    def compare(*_: object) -> bytes:
        raise error

    return compare


def test_a_finished_review_contains_versions_findings_and_statistics(bench):
    compared: list[object] = []
    bench.compare = lambda _, *versions: compared.append(versions) or ANSWER
    stored = bench.review()
    assert compared == [UPGRADE]
    assert stored.status == Status.DONE
    assert (stored.result.from_version, stored.result.to_version) == ("1.2.0", "1.3.0")
    assert "scripts.lifecycle" in {finding.signal for finding in stored.result.findings}
    assert stored.result.summary_missing == "no provider is set"
    assert read_diff(bench.store, bench.id) == CHANGE.diff
    statistics = stored.result.statistics
    assert (statistics.files_added, statistics.files_removed) == (1, 1)
    assert statistics.files_modified == 1
    assert (statistics.lines_added, statistics.lines_removed) == (30, 40)
    assert (statistics.unpacked_bytes_before, statistics.unpacked_bytes) == (1000, 3000)


@pytest.mark.parametrize(("threshold", "verdict"), [(0.0, "block"), (1.0, "pass")])
def test_the_threshold_decides_the_verdict(bench, threshold, verdict):
    bench.threshold = threshold
    result = bench.review().result
    assert (result.verdict, result.threshold) == (verdict, threshold)


def test_a_risk_equal_to_the_threshold_blocks(bench):
    risk = bench.review().result.risk
    second, _ = bench.store.submit(*UPGRADE, force=True)
    bench.id, bench.threshold = second.id, risk
    assert bench.review().result.verdict == "block"


@pytest.mark.parametrize("model_risk", [0.0, 1.0])
def test_an_opinion_raises_the_risk_and_never_lowers_it(bench, model_risk):
    without_model = bench.review().result.risk
    assert 0 < without_model < 1
    second, _ = bench.store.submit(*UPGRADE, force=True)
    bench.id = second.id
    bench.summarize = lambda *_: Opinion(model_risk, "All is well.", ("because",))
    result = bench.review().result
    assert result.risk == max(without_model, model_risk)
    assert (result.summary, result.summary_missing) == ("All is well.", None)
    assert result.reasons == ("because",)


def test_a_certain_failure_fails_the_review_at_once_with_its_reason(bench):
    bench.compare = _raising(ReviewError("not_found", "there is no left-pad"))
    stored = bench.review()
    assert (stored.status, stored.dead_letter, stored.attempts) == (Status.FAILED, False, 1)
    assert (stored.failure.code, stored.failure.message) == ("not_found", "there is no left-pad")


def test_an_outage_queues_the_review_again(bench):
    bench.compare = _raising(ReviewError("registry_unavailable", "it answers 503"))
    stored = bench.review()
    assert stored.status == Status.QUEUED
    assert stored.failure.code == "registry_unavailable"


def test_a_failure_by_chance_is_tried_twice(bench, client):
    bench.queue = Queue(client, "first", clock=lambda: time.time() - 3600)  # the retry is due
    bench.compare = _raising(ReviewError("out_of_time", "comparison: it took more than 120 s"))
    assert bench.review().status == Status.QUEUED
    bench.queue = Queue(client, "first")
    stored = bench.review()
    assert (stored.status, stored.dead_letter, stored.attempts) == (Status.FAILED, True, 2)


def test_a_failed_assessment_is_no_pass(bench):
    """Each limit is a failure of its own: no verdict, and the reason names the part."""
    bounds = Bounds(seconds=30, data_bytes=4 * 2**20, output_bytes=2**20)
    bench.start_assessor = Assessor(bounds=bounds).start
    stored = bench.review()
    assert (stored.status, stored.result) == (Status.FAILED, None)
    assert stored.failure.message.startswith("assessment: ")


@pytest.mark.parametrize("part", ["compare", "start_assessor", "summarize"])
def test_a_stop_during_any_part_returns_the_job_without_an_attempt(bench, part, monkeypatch):
    monkeypatch.setattr(lease, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(review, "LeaseRenewer", partial(LeaseRenewer, grace_seconds=0.05))

    def hang(children: Children, *_: object) -> Opinion:
        threading.Timer(0.1, bench.stop.request).start()
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        children.run(command, b"", Bounds(30, 2**28, 100))
        raise AssertionError("the child was not killed")

    @contextmanager
    def start(children: Children) -> Iterator[Assess]:
        yield partial(hang, children)

    setattr(bench, part, start if part == "start_assessor" else hang)
    stored = bench.review()
    assert (stored.status, stored.attempts, stored.failure) == (Status.QUEUED, 0, None)
    assert bench.successor.claim() is not None  # at once, by another worker


def test_a_worker_that_lost_the_job_writes_nothing(bench):
    def compare(*_: object) -> bytes:
        assert bench.successor.claim() is not None
        return ANSWER

    bench.compare = compare
    stored = bench.review()
    assert (stored.status, stored.attempts) == (Status.RUNNING, 2)
    assert read_diff(bench.store, bench.id) is None


@dataclass
class UnavailableQueue(Queue):
    """Queue whose first `failures` writes of a result fail."""

    inner: Queue
    failures: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def finish(self, *arguments: object) -> bool:  # type: ignore[override]
        if self.failures > 0:
            self.failures -= 1
            raise StoreError("ConnectionError")
        return self.inner.finish(*arguments)  # type: ignore[arg-type]

    def claim(self):  # type: ignore[override]
        return self.inner.claim()

    def renew(self, job):  # type: ignore[override]
        return self.inner.renew(job)


@pytest.mark.parametrize(("failures", "status"), [(4, Status.DONE), (5, Status.RUNNING)])
def test_the_result_is_written_again_if_the_store_was_unavailable(
    bench, monkeypatch, failures, status
):
    """After too many attempts, the lease expires and another worker repeats the job."""
    monkeypatch.setattr(review, "WRITE_RETRY_SECONDS", 0)
    bench.queue = UnavailableQueue(bench.queue, failures)
    assert bench.review().status == status


def test_after_a_stop_an_unavailable_store_is_soon_given_up(bench, monkeypatch):
    """Docker would kill the worker; the lease expires anyway, and another worker claims the job."""
    monkeypatch.setattr(review, "WRITE_RETRY_SECONDS", 0)
    monkeypatch.setattr(review, "WRITE_SECONDS_AFTER_STOP", 0)
    bench.queue = UnavailableQueue(bench.queue, 1)
    bench.stop.request()
    assert bench.review().status == Status.RUNNING
