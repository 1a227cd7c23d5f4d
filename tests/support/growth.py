"""Growth of a function's cost with the size of its input: a hostile text must cost linear time.

    assert_linear(lambda size: "'" * size, pattern.findall)

The CPU time at a size and at four times that size is compared: about 4 if the cost is linear, 16
if it is quadratic. The minimum of several runs is used, so that a busy machine makes no
difference.
"""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

Input = TypeVar("Input")
FACTOR = 4
"""The larger size is this many times the smaller one."""
MAX_RATIO = 9.0
"""Between the ratios of n log n (about 4.6) and of n squared (16)."""
FIRST_SIZE = 64
MAX_SIZE = 1024 * 1024
"""Largest size that is tried."""
MIN_SECONDS = 0.02
"""CPU time from which a cost is measurable: some kernels count it in steps of 4 ms."""
MAX_SECONDS = 20.0
"""CPU time of one run, so that an exponential function fails instead of hanging."""
RUNS = 3


class TooSlow(AssertionError):
    """The function exceeded MAX_SECONDS."""


@dataclass(frozen=True)
class Growth:
    """Costs of the same function at two sizes: CPU seconds, or the steps that it counted."""

    size: int
    cost: float
    cost_of_larger: float

    @property
    def ratio(self) -> float:
        return self.cost_of_larger / self.cost if self.cost else 0.0

    def __str__(self) -> str:
        larger = FACTOR * self.size
        return (
            f"the cost grew from {self.cost:.4g} at size {self.size} to {self.cost_of_larger:.4g} "
            f"at size {larger}, {self.ratio:.1f} times (at most {MAX_RATIO} times for {FACTOR} "
            "times the size)"
        )


def assert_linear(
    make: Callable[[int], Input],
    run: Callable[[Input], object],
    *,
    min_size: int = FIRST_SIZE,
    max_size: int = MAX_SIZE,
) -> None:
    """Fail unless the CPU time of `run` grows about linearly with the size of its input.

    Args:
        make: returns an input of a size, such as characters; its own time is not measured.
        run: the function under test. It is called several times, with a fresh input each.
        min_size: smallest size that is tried. A large one shows a part that copies or searches
            memory: it is quadratic, but cheap beside the rest at a small size.
        max_size: largest size that is tried. A function that costs less than MIN_SECONDS there
            passes, because it is cheap at every size that occurs.
    """
    growth = measure(make, run, min_size=min_size, max_size=max_size)
    assert growth.ratio <= MAX_RATIO, str(growth)


def measure(
    make: Callable[[int], Input],
    run: Callable[[Input], object],
    *,
    min_size: int = FIRST_SIZE,
    max_size: int = MAX_SIZE,
) -> Growth:
    """Return the CPU time at the first size with a measurable cost, and at FACTOR times it."""
    size = min_size
    while (cost := _seconds(make(size), run)) < MIN_SECONDS and 2 * FACTOR * size <= max_size:
        size *= 2
    larger = _seconds(make(FACTOR * size), run)
    if larger < MIN_SECONDS:
        return Growth(size, 0.0, larger)
    growth = Growth(size, max(cost, MIN_SECONDS / FACTOR), larger)
    for _ in range(RUNS - 1):
        if growth.ratio <= MAX_RATIO / 2:  # clearly linear: one run of each is enough
            break
        cost = min(growth.cost, max(_seconds(make(size), run), MIN_SECONDS / FACTOR))
        larger = min(growth.cost_of_larger, _seconds(make(FACTOR * size), run))
        growth = Growth(size, cost, larger)
    return growth


def count_steps(
    make: Callable[[int], Input], steps: Callable[[Input], int], *, size: int
) -> Growth:
    """Return the growth of a number that the function itself counts, such as bytes it copied."""
    return Growth(size, steps(make(size)), steps(make(FACTOR * size)))


def _seconds(value: Input, run: Callable[[Input], object]) -> float:
    gc.disable()  # a collection in one of two runs would count as growth
    try:
        with limited_to(MAX_SECONDS):
            start = time.process_time()
            run(value)
            return time.process_time() - start
    finally:
        gc.enable()


@contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the main thread after this much CPU time; `re` checks for signals too."""

    def interrupt(*_: object) -> None:
        raise TooSlow(f"it took more than {seconds:g} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
