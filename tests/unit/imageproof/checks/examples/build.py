"""Faults and near misses of the build.* checks."""

from __future__ import annotations

from typing import Any

from imageproof.deep.double_build import BuildFacts, Difference, Leak

SEARCHED = ("layers", "configuration")
UNKNOWN = BuildFacts(unknown="the second build failed")


def _built(**changes: Any) -> BuildFacts:
    return BuildFacts(layers=4, secrets=("pip",), searched=SEARCHED, **changes)


def _differing(*paths: str) -> BuildFacts:
    return _built(differences=(Difference("RUN date", paths),))


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "build.reproducible": [
        (_differing("etc/built"), "differ between two builds, expected none: /etc/built"),
        (_differing(*(f"a/{n}" for n in range(9))), "/a/4 and 4 more"),
        (_differing(), "another order"),
        (BuildFacts(), "no layer"),
        (UNKNOWN, "second build failed"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "build.reproducible": [_built(), _built(leaks=(Leak("pip", "layer", "plain"),))],
}
