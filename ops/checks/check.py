"""What a check is: an id, why it matters, how to mend it, and a pure function from contract and
facts to findings. A check never asks Docker: the same facts give the same findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ops.errors import UsageError

# What a check looks at; facts of that kind are what it is given.
Looks = Literal["image", "programs", "containers", "project"]
Ask = Callable[[Any, Any], Iterable["Finding"]]


@dataclass(frozen=True)
class Finding:
    """One thing that falls short, with its place. `unknown`: the check could not look."""

    message: str
    layer: str | None = None
    instruction: str | None = None
    file: str | None = None
    measured: int | float | str | None = None
    bound: int | float | str | None = None
    unknown: bool = False


@dataclass(frozen=True)
class Check:
    """One question, and everything that a person needs to act on its answer."""

    id: str
    title: str
    why: str
    mend: str
    reference: str
    looks: Looks
    ask: Ask


REGISTRY: dict[str, Check] = {}


def check(
    id_: str, looks: Looks, *, title: str, why: str, mend: str, reference: str
) -> Callable[[Ask], Ask]:
    """Register a function as the check of that id."""

    def register(ask: Ask) -> Ask:
        if id_ in REGISTRY:
            raise ValueError(f"two checks are called {id_}")
        REGISTRY[id_] = Check(id_, title, why, mend, reference, looks, ask)
        return ask

    return register


def find(id_: str, checks: Mapping[str, Check] = REGISTRY) -> Check:
    """The check of that id. Raises UsageError where there is none."""
    if id_ not in checks:
        near = [known for known in checks if id_.partition(".")[0] in known]
        raise UsageError(
            "reading the command line",
            f"there is no check {id_!r}",
            hint=f"near it: {', '.join(near)}" if near else f"all: {', '.join(sorted(checks))}",
        )
    return checks[id_]
