"""The order of the tests: a file at a time goes to a worker of pytest-xdist, the longest first.

So that no worker is left alone with a long one at the end, and the short ones fill the gaps. And
their end: whoever interrupts them, what they started is cleared away.
"""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ops import interruption

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

HERE = Path(__file__).parent
# The longest first; of files that none of these names, the order is pytest's own.
LONGEST = (
    *("swarm", "defects", "e2e/test_reviews.py", "e2e/test_reviews_faults.py", "e2e"),
    *("unit/worker", "unit"),
)
CLEARED_WITHIN = 60.0
_workers: list[WorkerController] = []  # pytest-xdist's, in the process that hands out tests


# Collecting makes a million objects, and none of them is garbage: nobody looks through them while
# they become more, nor afterwards.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    # In a shell's background SIGINT is ignored, and so it would be by all that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interruption.heed()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: WorkerController) -> None:
    _workers.append(node)


def pytest_keyboard_interrupt() -> None:
    """Fixtures are about to clear away, in each worker: one that is told once more would leave it
    half done, and pytest-xdist would end it after ten seconds."""
    signal.signal(signal.SIGINT, lambda *_: None)
    for worker in _workers:
        with suppress(OSError, EOFError, worker.channel.RemoteError):
            worker.channel.waitclose(CLEARED_WITHIN)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return _place_of(item.path)


@cache
def _place_of(file: Path) -> int:
    path = file.relative_to(HERE)
    folders = {str(path), *map(str, path.parents)}
    return next((n for n, name in enumerate(LONGEST) if name in folders), len(LONGEST))
