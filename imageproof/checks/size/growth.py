"""How an image grew since its size was recorded: which layer, which package, which file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Image
    from imageproof.image.facts import ImageFacts, Layer
    from imageproof.project.record import Baseline

What = Literal["layer", "package", "file"]
NAME = 100  # characters of an instruction
BASE = "org.opencontainers.image.base.name"
_HOST = re.compile(r"^(?:(?:localhost|[^/]*[.:][^/]*)/)?(?:library/)?")


@dataclass(frozen=True)
class Change:
    """What one thing has more than it had; bytes, below zero where it has less."""

    what: What
    name: str
    by: int

    def __str__(self) -> str:
        """As a person reads it."""
        slash = "/" if self.what == "file" else ""
        return f"{self.what} {slash}{self.name} {self.by / 1e6:+.2f} MB"


def base_of(facts: ImageFacts) -> str:
    """The name of an image's base, whichever mirror it was pulled from: no registry's host, no
    digest (https://distribution.github.io/reference: grammar)."""
    return _HOST.sub("", facts.labels.get(BASE, "").partition("@")[0])


def baseline_for(facts: ImageFacts) -> Baseline | None:
    """The recorded size of an image on the base that it has."""
    recorded = (facts.record and facts.record.baselines) or ()
    return next((one for one in recorded if one.base == base_of(facts)), None)


def layer_name(layer: Layer) -> str:
    """What a layer is called in a record: its instruction, shortened."""
    return layer.instruction[:NAME] or "a layer of unknown origin"


def changes(before: Baseline, now: Baseline) -> list[Change]:
    """Every difference, the largest first."""
    found = [
        Change(what, name, new.get(name, 0) - old.get(name, 0))
        for what in get_args(What)
        for old, new in [(getattr(before, f"{what}s"), getattr(now, f"{what}s"))]
        for name in old.keys() | new.keys()
    ]
    different = [change for change in found if change.by]
    return sorted(different, key=lambda change: (-abs(change.by), change.what, change.name))


def most_grown(facts: ImageFacts, before: Baseline) -> list[Change]:
    """The layer, the package and the file that grew the most."""
    found = changes(before, facts.sizes)
    return [
        next(change for change in found if change.what == what and change.by > 0)
        for what in get_args(What)
        if any(change.what == what and change.by > 0 for change in found)
    ]


@check(
    "size.growth",
    "image",
    title="The image has not grown since its size was recorded",
    why="An image grows by a little at a time, each of which looks small; a budget says so on the "
    "day that it is full.",
    mend="`./inv size` shows what grew; where it is meant, `./inv size --record`, and commit the "
    "file.",
    reference="[tool.imageproof] baseline, [tool.imageproof.images.*] growth",
)
def growth(terms: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail above the recorded size plus the contract's `growth`; names what grew the most. Warn
    where nothing is recorded yet. Beyond the budget size.budget tells all of it."""
    base = base_of(facts)
    if facts.record is None or facts.record.baselines is None or not base:
        return  # that an image names no base is told by base.recorded
    before = baseline_for(facts)
    if before is None:
        message = f"no size is recorded on the base {base}: `./inv size --record`"
        yield Finding(message, warning=True)
        return
    grown = facts.size - before.size
    if grown <= terms.growth or facts.size > terms.size:
        return
    most = most_grown(facts, before)
    names = [change.name for change in most if change.what == "layer"]
    layer = next((one for one in facts.layers if layer_name(one) in names), facts.layers[-1])
    file = next((f"/{change.name}" for change in most if change.what == "file"), None)
    yield Finding(
        f"{grown / 1e6:+.2f} MB since it was recorded, {terms.growth / 1e6:.2f} MB may be; "
        f"{', '.join(map(str, most))}",
        file=file,
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=facts.size,
        bound=before.size + int(terms.growth),
    )
