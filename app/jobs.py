"""The job model and the queue that the API and the worker share."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Job:
    """One review, of whether `package` may go from `from_version` to `to_version`."""

    id: str
    package: str
    from_version: str
    to_version: str
    status: Status = Status.QUEUED


class QueueError(Exception):
    """The queue does not answer, or refuses."""


class Queue(Protocol):
    """What the API and the worker ask of the queue; each call answers or raises within seconds."""

    def take(self) -> Job | None:
        """Return the next job, now running, or None when none waits; raises QueueError."""

    def finish(self, job: Job, status: Status) -> None:
        """Record that a taken job ended as done or failed; raises QueueError."""

    def ping(self) -> None:
        """Return when the queue can be used; raises QueueError."""


class EmptyQueue:
    """A queue that holds nothing: the store comes with the job that reviews upgrades.

    It depends on nothing, so it always answers. It refuses what it cannot keep.
    """

    def take(self) -> Job | None:
        """Return None: no job waits."""
        return None

    def finish(self, job: Job, status: Status) -> None:
        """Raise QueueError: nobody can have taken a job from here."""
        raise QueueError(f"job {job.id} cannot be {status}: it did not come from this queue")

    def ping(self) -> None:
        """Return: there is nothing that could be away."""
