"""End-of-life dates of distributions, Python and Node.js, from end_of_life.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imageproof.checks.base.components import Component

_FILE = Path(__file__).with_name("end_of_life.toml")


@cache
def data() -> Mapping[str, Any]:
    """Return the file: its date, its sources, and a table of last days for each component kind."""
    return tomllib.loads(_FILE.read_text())


def is_rolling(component: Component) -> bool:
    """Return whether the component is a rolling distribution, which has no versions."""
    return component.kind in data()["rolling"]


def last_day(component: Component) -> date | None:
    """Return the last day with security updates, or None if none is recorded.

    The longest recorded part of a version decides: 3.22 for 3.22.1, and 9 for 9.4.
    """
    table = data().get(component.kind)
    if not isinstance(table, dict):
        return None
    numbers = component.version.split(".")
    for count in range(len(numbers), 0, -1):
        day = table.get(".".join(numbers[:count]))
        if isinstance(day, date):
            return day
    return None
