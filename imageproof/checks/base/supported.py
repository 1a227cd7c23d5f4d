"""base.supported: distribution, Python and Node.js still get security updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.base.components import components
from imageproof.checks.base.end_of_life import data, is_rolling, last_day
from imageproof.checks.check import Finding, check
from imageproof.checks.files import finding_at

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts


@check(
    "base.supported",
    "image",
    title="The distribution, Python and Node.js still get security updates",
    why="After its end of life a release gets no fixes, and a rebuild brings none.",
    remedy="Build on a newer base. `./inv explain base.supported` shows the date of the data.",
    reference=f"imageproof/checks/base/end_of_life.toml: dates of {data()['as-of']}, with sources",
)
def supported(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each component past its end of life; unknown if no date is recorded.

    A runtime in `absent` is left to content.forbidden.
    """
    if facts.project_files is None:
        yield Finding("today's date is unknown", unknown=True)
        return
    today = facts.project_files.today
    for component in components(facts):
        if component.kind in contract.absent:
            continue
        end = last_day(component)
        if end is None and not is_rolling(component):
            message = f"no end of life is recorded for {component.title}"
            yield finding_at(component.path, component.layer, message, unknown=True)
        elif end and today > end:
            yield finding_at(
                component.path,
                component.layer,
                f"{component.title} has had no security updates since {end.isoformat()}, "
                f"today is {today.isoformat()}",
                measured=today.isoformat(),
                bound=end.isoformat(),
            )
