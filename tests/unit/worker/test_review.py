"""worker.review: what is written of a job, whatever came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.reviews import Review, Status
from app.store import Store, StoreError
from worker import review
from worker.change import Change, FileChange, Version
from worker.llm import Missing, Opinion
from worker.npm_diff import DiffError
from worker.queue import Queue
from worker.review import Reviewer
from worker.risk import Assessment
from worker.stop import StopSignal

ASKED = ("left-pad", "^1.2.0", "latest")


def _version(version: str, size: int, **manifest: object) -> Version:
    return Version(version, "sha512-x", 100, size, {"name": "left-pad", **manifest})


CHANGE = Change(
    "left-pad",
    _version("1.2.0", 1000),
    _version("1.3.0", 3000, scripts={"postinstall": "node x.js"}),
    (
        FileChange("a.js", "modified", "text", 10, lines=((1, "let a = 1"),), gone=("let a",)),
        FileChange("x.js", "added", "text", 10, lines=((1, "1"), (2, "2"))),
        FileChange("z.js", "removed", "text", 0, gone=("1", "2", "3")),
    ),
    "diff --git a/a.js b/a.js\n",
    stats={"lines_added": 30, "lines_removed": 40},  # more than was handed on
)


@dataclass
class Bench:
    """A worker whose parts answer as they are told, on a real store."""

    store: Store
    queue: Queue
    heir: Queue
    id: str
    compare: Callable[..., Change] = lambda *_: CHANGE
    opine: Callable[[Change, Assessment], Opinion] = field(
        default=lambda _, assessment: Opinion(assessment.risk, missing=Missing.OFF)
    )
    threshold: float = 0.75

    def review(self) -> Review:
        """Do the job, and read what was written."""
        reviewer = Reviewer(
            self.queue, StopSignal(), self.compare, self.opine, lambda: None, self.threshold
        )
        job = self.queue.take()
        assert job is not None
        reviewer(job)
        found = self.store.get(self.id)
        assert found is not None
        return found


@pytest.fixture
def bench(client) -> Bench:
    store = Store(client)
    asked, _ = store.submit(*ASKED)
    return Bench(store, Queue(client, "first"), Queue(client, "heir", lease=0), asked.id)


def _raising(error: Exception) -> Callable[..., Change]:
    def compare(*_: object) -> Change:
        raise error

    return compare


def test_a_finished_review_says_what_was_compared_and_found(bench):
    asked: list[object] = []
    bench.compare = lambda *words: asked.append(words) or CHANGE
    found = bench.review()
    assert asked == [ASKED]
    assert found.status == Status.DONE
    assert (found.result.from_version, found.result.to_version) == ("1.2.0", "1.3.0")
    assert "scripts.lifecycle" in {finding.signal for finding in found.result.findings}
    assert found.result.summary_missing == "no provider is set"
    assert bench.store.diff(bench.id) == CHANGE.diff
    said = found.result.statistics
    assert (said.files_added, said.files_removed, said.files_modified) == (1, 1, 1)
    assert (said.lines_added, said.lines_removed) == (30, 40)
    assert (said.unpacked_bytes_before, said.unpacked_bytes) == (1000, 3000)


@pytest.mark.parametrize(("threshold", "verdict"), [(0.0, "block"), (1.0, "pass")])
def test_the_threshold_makes_the_verdict(bench, threshold, verdict):
    bench.threshold = threshold
    result = bench.review().result
    assert (result.verdict, result.threshold) == (verdict, threshold)


def test_a_risk_at_the_threshold_blocks(bench):
    risk = bench.review().result.risk
    again, _ = bench.store.submit(*ASKED, force=True)
    bench.id, bench.threshold = again.id, risk
    assert bench.review().result.verdict == "block"


@pytest.mark.parametrize(("said", "risk"), [(0.0, None), (1.0, 1.0)])
def test_an_opinion_adds_and_takes_nothing_away(bench, said, risk):
    alone = bench.review().result.risk
    again, _ = bench.store.submit(*ASKED, force=True)
    bench.id = again.id
    bench.opine = lambda *_: Opinion(said, "All is well.", ("because",))
    result = bench.review().result
    assert result.risk == (alone if risk is None else risk)
    assert (result.summary, result.summary_missing) == ("All is well.", None)
    assert result.reasons == ("because",)


def test_what_cannot_be_reviewed_failed_and_says_why(bench):
    bench.compare = _raising(DiffError("not_found", "there is no left-pad", retry=False))
    found = bench.review()
    assert (found.status, found.dead_letter) == (Status.FAILED, False)
    assert (found.failure.code, found.failure.message) == ("not_found", "there is no left-pad")


def test_what_may_go_well_later_is_queued_again(bench):
    bench.compare = _raising(DiffError("registry_unavailable", "it answers 503", retry=True))
    found = bench.review()
    assert found.status == Status.QUEUED
    assert found.failure.code == "registry_unavailable"


def _losing(bench: Bench) -> Callable[..., Change]:
    def compare(*_: object) -> Change:
        assert bench.heir.take() is not None  # another worker takes it over
        return CHANGE

    return compare


def test_who_lost_the_job_writes_nothing(bench):
    bench.compare = _losing(bench)
    found = bench.review()
    assert (found.status, found.attempts) == (Status.RUNNING, 2)
    assert bench.store.diff(bench.id) is None


@dataclass
class Away(Queue):
    """A queue that cannot write so many times."""

    inner: Queue
    times: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def finish(self, *words: object) -> bool:  # type: ignore[override]
        self.times -= 1
        if self.times >= 0:
            raise StoreError("ConnectionError")
        return self.inner.finish(*words)  # type: ignore[arg-type]

    def take(self):  # type: ignore[override]
        return self.inner.take()

    def renew(self, job):  # type: ignore[override]
        return self.inner.renew(job)


@pytest.mark.parametrize(("times", "status"), [(4, Status.DONE), (5, Status.RUNNING)])
def test_a_store_that_is_away_for_a_moment_loses_no_result(bench, monkeypatch, times, status):
    """For longer: the lease runs out, and another worker does it again."""
    monkeypatch.setattr(review, "WRITE_SECONDS", 0)
    bench.queue = Away(bench.queue, times)
    assert bench.review().status == status
