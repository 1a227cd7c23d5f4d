"""What was seen of a stack that was started only to be tried: frozen, stopped, and broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrialFacts:
    """What became of one service's container; times in seconds, None: it never came to that.

    `unknown` says why nothing could be tried.
    """

    unknown: str = ""
    bound: float = 0  # (interval + timeout) x retries of the container's own health check
    noticed_after: float | None = None  # every process stopped (SIGSTOP) → unhealthy
    recovered_after: float | None = None  # they go on (SIGCONT) → healthy
    waited: float = 0  # how long was waited for either
    stopped_after: float | None = None  # `docker stop` → ended
    exit_status: int | None = None
    orphans: int = 0  # children that were orphaned in it, and ended
    orphans_left: int | None = None  # how many of them PID 1 did not wait for
    logged: tuple[str, ...] = ()  # names of the secrets whose values are in its log
    given: tuple[str, ...] = ()  # names of the secrets that it was given


@dataclass(frozen=True)
class Teardown:
    """What an end of the stack left in the engine: `container NAME`, `network NAME`, ..."""

    after: str  # "up and down", "a start that failed", "a start that was interrupted"
    left: tuple[str, ...] = ()
    logs_kept: bool | None = None  # None: it is not asked here
    unknown: str = ""


@dataclass(frozen=True)
class LineFacts:
    """What each way of ending the stack left behind."""

    teardowns: tuple[Teardown, ...] = field(default_factory=tuple)


Trials = Mapping[str, TrialFacts]  # by image of the contract
