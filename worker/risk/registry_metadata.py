"""Signals in the registry's metadata of the two versions. Missing metadata is no signal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worker.change import Change
from worker.risk.signal import Observation, signal

# Maximum age, share.
_FRESH = ((timedelta(days=1), 1.0), (timedelta(days=3), 0.75), (timedelta(days=7), 0.5))
_MIN_DORMANT = timedelta(days=2 * 365)


@signal(
    "version.fresh",
    0.18,
    title="The version was published less than a week, three days or a day ago",
    why="Most hostile versions are found and removed within hours or days. The weight stays below "
    "0.2, because every good release is fresh once.",
)
def fresh(change: Change, now: datetime) -> Iterator[Observation]:
    """Compare the time of publication with `now`; a future time counts as now."""
    if change.new.published is None:
        return
    age = now - _with_zone(change.new.published)
    for max_age, share in _FRESH:
        if age < max_age:
            hours = max(0, int(age / timedelta(hours=1)))
            yield Observation(f"published {hours} hours ago", share=share)
            return


@signal(
    "version.dormant",
    0.15,
    title="The previous version is more than two years older",
    why="Attackers take over packages that are no longer maintained.",
)
def dormant(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare the two times of publication."""
    old, new = change.old.published, change.new.published
    if old is None or new is None:
        return
    age = _with_zone(new) - _with_zone(old)
    if age > _MIN_DORMANT:
        yield Observation(f"published {age.days} days after {change.old.version}")


@signal(
    "publisher.changed",
    0.4,
    title="The publisher changed; a quarter of the weight if the new version has provenance",
    why="A new maintainer or a stolen account: event-stream was handed over to a stranger.",
)
def publisher(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare the publishers; with provenance, the new one is usually a build service."""
    old, new = change.old.publisher, change.new.publisher
    if old and new and old != new:
        share = 0.25 if change.new.provenance else 1.0
        yield Observation(f"published by {new}, before by {old}", share=share)


@signal(
    "provenance.lost",
    0.5,
    title="The previous version has a provenance statement, the new one has none",
    why="It was published outside the project's build, as with a stolen token.",
)
def provenance(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare the provenance of the two versions."""
    if change.old.provenance and not change.new.provenance:
        yield Observation(f"{change.old.version} has provenance, {change.new.version} has none")


def _with_zone(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
