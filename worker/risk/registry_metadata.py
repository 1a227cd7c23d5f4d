"""Signals in what the registry says of the two versions. What it does not say is no signal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worker.change import Change
from worker.risk.signal import Seen, signal

_FRESH = ((timedelta(days=1), 1.0), (timedelta(days=3), 0.75), (timedelta(days=7), 0.5))
_DORMANT = timedelta(days=2 * 365)


@signal(
    "version.fresh",
    0.18,
    title="The version was published less than a week, three days or a day ago",
    why="Hostile versions are mostly found and removed within hours or days. Below the bound of "
    "grave signals, since every good release is fresh once.",
)
def fresh(change: Change, now: datetime) -> Iterator[Seen]:
    """Compare the time of publication with `now`; one in the future counts as just now."""
    if change.new.published is None:
        return
    age = now - _aware(change.new.published)
    for bound, share in _FRESH:
        if age < bound:
            yield Seen(f"published {max(0, int(age / timedelta(hours=1)))} hours ago", share=share)
            return


@signal(
    "version.dormant",
    0.15,
    title="The version before it is more than two years older",
    why="Packages that nobody keeps are the ones that are taken over.",
)
def dormant(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare the two times of publication."""
    old, new = change.old.published, change.new.published
    if old is not None and new is not None and _aware(new) - _aware(old) > _DORMANT:
        yield Seen(f"{(_aware(new) - _aware(old)).days} days after {change.old.version}")


@signal(
    "publisher.changed",
    0.4,
    title="Somebody else published it; a quarter of it where the new version has provenance",
    why="A new hand, or a stolen account: event-stream was given away to a stranger.",
)
def publisher(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare the publishers; with provenance, the change is mostly to a build service."""
    old, new = change.old.publisher, change.new.publisher
    if old and new and old != new:
        yield Seen(f"{old} before, now {new}", share=0.25 if change.new.provenance else 1.0)


@signal(
    "provenance.lost",
    0.5,
    title="The version before it has a provenance statement, and this one has none",
    why="It was published from elsewhere than the project's build, as with a stolen token.",
)
def provenance(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare what the two versions have."""
    if change.old.provenance and not change.new.provenance:
        yield Seen(f"{change.old.version} has provenance, {change.new.version} has none")


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
