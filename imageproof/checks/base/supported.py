"""What an image stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imageproof.checks.base.components import data, last_day, parts, rolls
from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

NAME = "org.opencontainers.image.base.name"
DIGEST = "org.opencontainers.image.base.digest"


@check(
    "base.recorded",
    "image",
    title="The image says which base it was made from",
    why="When a hole in a base becomes known, the labels say which images have it.",
    remedy="LABEL it in the Dockerfile from the build argument that names the base.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
)
def recorded(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail where the base's name is not among the labels."""
    if not facts.labels.get(NAME):
        yield Finding(f"the label {NAME} is missing or empty")


@check(
    "base.pinned",
    "image",
    title="The image says which version of its base it was made from",
    why="A tag moves: without the digest nobody can tell whether last month's hole is in it, nor "
    "build the same image again.",
    remedy="LABEL it from a build argument that holds the digest; `./inv build` gives BASE_DIGEST.",
    reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md; SLSA",
)
def pinned(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail where the base's digest is not among the labels, in its name or beside it."""
    name = facts.labels.get(NAME, "")
    digest = facts.labels.get(DIGEST) or name.partition("@")[2]
    if name != "scratch" and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        yield Finding(f"the label {DIGEST} holds no digest", measured=digest)


@check(
    "base.supported",
    "image",
    title="Distribution, Python and Node still get security updates",
    why="After its end of life no hole is mended any more, and rebuilding brings nothing.",
    remedy="Build on a newer base; `./inv explain base.supported` says of which day the dates are.",
    reference=f"imageproof/checks/base/end_of_life.toml: dates as known on {data()['as-of']}, with their sources",
)
def supported(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each part whose end of life is over; unknown for one that is not on record. What
    the contract forbids is told by content.forbidden."""
    if facts.record is None:
        yield Finding("the day is not known", unknown=True)
        return
    for part in parts(facts):
        if part.kind in terms.absent:
            continue
        until = last_day(part)
        place: dict[str, Any] = {
            "file": part.file,
            "layer": part.layer.diff_id,
            "instruction": part.layer.instruction,
        }
        if until is None and not rolls(part):
            message = f"no end of life is on record for {part.title}"
            yield Finding(message, unknown=True, **place)
        elif until and facts.record.today > until:
            yield Finding(
                f"{part.title} gets no security updates since {until.isoformat()}",
                measured=facts.record.today.isoformat(),
                bound=until.isoformat(),
                **place,
            )
