"""Failures of a review: their codes, and how often a review that failed so is tried."""

import signal
from collections.abc import Mapping
from types import MappingProxyType

from worker.child import EXIT_OUT_OF_MEMORY, Bounds, ChildError, ChildResult

OUTAGE = None
"""It may end by itself: as many attempts as the queue allows, which span minutes."""
CHANCE = 2
"""Something else on this machine may have caused it."""
CERTAIN = 1
"""The same upgrade fails the same way again."""

ATTEMPTS: Mapping[str, int | None] = MappingProxyType(
    {
        # the registry
        "registry_unavailable": OUTAGE,  # no connection, no answer in time, 429, 5xx
        "bad_protocol": CHANCE,  # the answer is no HTTP or no TLS
        "bad_certificate": CERTAIN,  # invalid, expired, or of an unknown CA
        "bad_redirect": CERTAIN,  # endless, without a place, or not to http(s)://
        "forbidden_address": CERTAIN,  # neither the registry's nor an allowed one
        "unauthorized": CERTAIN,
        "not_found": CERTAIN,
        "no_such_version": CERTAIN,
        # the upgrade
        "bad_request": CERTAIN,
        "integrity": CERTAIN,
        "too_large": CERTAIN,
        "unsafe_path": CERTAIN,
        "unsafe_entry": CERTAIN,
        "bad_tar": CERTAIN,
        "bad_gzip": CERTAIN,
        "bad_manifest": CERTAIN,
        # the bounds of a child process
        "out_of_time": CHANCE,  # a busy machine is slow
        "out_of_memory": CERTAIN,
        "too_much_output": CERTAIN,
        "crashed": CHANCE,  # also if the kernel killed it
        "cannot_start": OUTAGE,  # no free process or memory on this machine
    }
)
"""Attempts by code. Only the queue's own failure, "abandoned", is not among them."""


class ReviewError(Exception):
    """Failure of a review. The text contains no address and no secret.

    Attributes:
        code: a key of ATTEMPTS.
        detail: more for the log, not for the review; may be empty.
    """

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail

    @property
    def max_attempts(self) -> int | None:
        """Attempts after which the review has failed; None: the queue's number."""
        return ATTEMPTS.get(self.code, CERTAIN)


_CODE_BY_LIMIT = {"start": "cannot_start", "time": "out_of_time", "output": "too_much_output"}
# V8 and the C++ library abort if they get no memory.
_MEMORY_SIGNALS = {signal.SIGABRT, signal.SIGTRAP, signal.SIGILL}


def killed(part: str, error: ChildError) -> ReviewError:
    """Return the failure of a part of a review whose process exceeded a limit."""
    return ReviewError(_CODE_BY_LIMIT[error.limit], f"{part}: {error}")


def ended(part: str, result: ChildResult, bounds: Bounds) -> ReviewError:
    """Return the failure of a part of a review whose process ended without an answer."""
    signal_number = -result.exit_status
    if signal_number == signal.SIGXCPU:
        return ReviewError("out_of_time", f"{part}: it took too much processor time")
    ran_out = result.exit_status == EXIT_OUT_OF_MEMORY or "MemoryError" in result.stderr_end
    if ran_out or signal_number in _MEMORY_SIGNALS:
        megabytes = bounds.data_bytes // 2**20
        message = f"{part}: it needed more memory than it may have ({megabytes} MiB)"
        return ReviewError("out_of_memory", message, result.stderr_end)
    message = f"{part}: its process ended with {result.exit_status} and without an answer"
    return ReviewError("crashed", message, result.stderr_end)
