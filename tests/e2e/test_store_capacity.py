"""Capacity of the store with the stack's configuration, on a real Redis server.

No review is refused for space, and none is lost, however large the diffs are.
"""

from __future__ import annotations

import base64
import random
import threading
from pathlib import Path

import pytest

from app.reviews import Result, Statistics, Status
from app.store import Store, connect
from tests.support import redis_server
from worker.queue import Queue

CONFIG = Path(__file__).parents[2] / "cache/redis.conf"
REVIEWS = 500
DIFF_BYTES = 2 * 1024 * 1024
RESULT = Result(
    verdict="pass",
    risk=0.1,
    threshold=0.75,
    from_version="1.0.0",
    to_version="2.0.0",
    statistics=Statistics(files_modified=1),
)
NOISE = base64.b85encode(random.Random(1).randbytes(2 * DIFF_BYTES)).decode()
LINES = "".join(f"+  const value{n} = compute({n * 7919});\n" for n in range(100_000))


@pytest.mark.parametrize(
    ("text", "workers"), [(NOISE, 4), (LINES, 1)], ids=["noise-4-workers", "code-1-worker"]
)
def test_500_reviews_with_large_diffs_are_neither_refused_nor_lost(text, workers):
    with redis_server.running(config=CONFIG) as url:
        submitted: list[str] = []
        finished: list[str] = []
        all_submitted = threading.Event()

        def work(name: str) -> None:
            queue = Queue(connect(url), name)
            while True:
                last_round = all_submitted.is_set()
                job = queue.claim()
                if job is None and last_round:
                    return
                if job is None:
                    all_submitted.wait(0.01)
                    continue
                start = int(job.new.rpartition(".")[2]) * 997
                assert queue.finish(job, RESULT, text[start:][:DIFF_BYTES])
                finished.append(job.id)

        threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(workers)]
        for thread in threads:
            thread.start()
        store = Store(connect(url))
        try:
            for number in range(REVIEWS):
                review, is_new = store.submit("p", "1.0.0", f"2.0.{number}")
                assert is_new
                submitted.append(review.id)
        finally:
            all_submitted.set()
            for thread in threads:
                thread.join()
        assert sorted(finished) == sorted(submitted)
        reviews = [store.get(id_) for id_ in submitted]
        assert {review and review.status for review in reviews} == {Status.DONE}
        # Each diff is there, or the review says that it was dropped; the newest is there.
        dropped = [review for review in reviews if review and review.diff_dropped]
        kept = [review.id for review in reviews if review and not review.diff_dropped]
        assert dropped
        assert finished[-1] in kept
        assert all(store.diff(id_) for id_ in kept)
