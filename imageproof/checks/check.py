"""What a check is: an id, why it matters, how to mend it, and a pure function from contract and
facts to findings. A check never asks Docker: the same facts give the same findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from imageproof.errors import UsageError

# What a check looks at. It is given the terms of an image and the facts of that kind ...
ImageNeeds = Literal["image", "programs", "containers", "trial", "build"]
# ... or the whole contract and the facts of that kind.
ProjectNeeds = Literal["images", "variables", "compose", "stack", "teardown"]
Needs = Literal[ImageNeeds, ProjectNeeds]
Severity = Literal["error", "warning"]
PROJECT_NEEDS = get_args(ProjectNeeds)
# These build or start something of their own, and take minutes: asked for with --deep.
DEEP = frozenset({"trial", "build", "teardown"})
CheckFunction = Callable[[Any, Any], Iterable["Finding"]]


@dataclass(frozen=True)
class Finding:
    """One thing that falls short, with its place.

    `unknown`: the check could not look. `warning`: worth knowing, and no failure.
    """

    message: str
    layer: str | None = None
    instruction: str | None = None
    file: str | None = None
    measured: int | float | str | None = None
    bound: int | float | str | None = None
    unknown: bool = False
    warning: bool = False


@dataclass(frozen=True)
class Check:
    """One question, and everything that a person needs to act on its answer."""

    id: str
    title: str
    why: str
    remedy: str
    reference: str
    needs: Needs
    function: CheckFunction
    severity: Severity = "error"

    @property
    def deep(self) -> bool:
        """Whether it is asked only with --deep."""
        return self.needs in DEEP

    @property
    def of_project(self) -> bool:
        """Whether it looks at the project as a whole, not at one image."""
        return self.needs in PROJECT_NEEDS


REGISTRY: dict[str, Check] = {}
SHOWN = 5  # paths that a finding names


def named(paths: Iterable[str]) -> str:
    """Paths as a finding names them: the first few, and how many more there are."""
    found = sorted(paths)
    shown = ", ".join(f"/{path}" for path in found[:SHOWN])
    return f"{shown} and {len(found) - SHOWN} more" if len(found) > SHOWN else shown


def check(
    id_: str,
    needs: Needs,
    *,
    title: str,
    why: str,
    remedy: str,
    reference: str,
    severity: Severity = "error",
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as the check of that id."""

    def register(function: CheckFunction) -> CheckFunction:
        if id_ in REGISTRY:
            raise ValueError(f"two checks are called {id_}")
        REGISTRY[id_] = Check(id_, title, why, remedy, reference, needs, function, severity)
        return function

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


def choose(only: str | None, checks: Mapping[str, Check] = REGISTRY) -> list[Check]:
    """All checks, the one of an id, or all of a group: `run` means each `run.*`.

    Raises UsageError where there is none of that name.
    """
    group = [check for check in checks.values() if check.id.partition(".")[0] == only]
    if only is None:
        return list(checks.values())
    return group or [find(only, checks)]
