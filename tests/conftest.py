"""Test order and interruption for the whole suite.

pytest-xdist hands out one file at a time. The slowest files come first, so that no worker is still
busy with a slow file when the others have finished.
"""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from imageproof import signals

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# Prefixes of node ids, slowest files first. Within a prefix, pytest's own order holds.
SLOWEST_FIRST = (
    "tests/swarm/",
    "tests/defects/",
    "tests/e2e/test_reviews",
    "tests/e2e/",
    "tests/unit/worker/",
    "tests/unit/",
)
CLEANUP_SECONDS = 60.0
_workers: list[WorkerController] = []  # empty in the xdist workers themselves


# Collection allocates a million objects and no garbage. The garbage collector would make it take
# half as long again, in every xdist worker.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    # A background shell starts pytest with SIGINT ignored, and the programs under test inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signals.install_handlers()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: WorkerController) -> None:
    _workers.append(node)


def pytest_keyboard_interrupt() -> None:
    """Wait until the fixtures of each worker have cleaned up.

    A second interrupt would stop them halfway, and pytest-xdist kills workers after ten seconds.
    """
    signal.signal(signal.SIGINT, lambda *_: None)
    for worker in _workers:
        with suppress(OSError, EOFError, worker.channel.RemoteError):
            worker.channel.waitclose(CLEANUP_SECONDS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    ranks = (n for n, prefix in enumerate(SLOWEST_FIRST) if item.nodeid.startswith(prefix))
    return next(ranks, len(SLOWEST_FIRST))
