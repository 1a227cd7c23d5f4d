"""Faults and near misses of two builds without cache."""

from __future__ import annotations

from typing import Any

from imageproof.deep.double_build import BuildFacts, Difference, Leak

SEARCHED = ("layers", "configuration")
UNKNOWN = BuildFacts(unknown="the second build failed")


def _built(**changes: Any) -> BuildFacts:
    return BuildFacts(layers=4, secrets=("pip",), searched=SEARCHED, **changes)


def _differing(*paths: str) -> BuildFacts:
    return _built(differences=(Difference("RUN date", paths),))


FAULTS: dict[str, list[tuple[Any, str]]] = {
    "build.reproducible": [
        (_differing("etc/built"), "a layer differs: /etc/built"),
        (_differing(*(f"a/{n}" for n in range(9))), "/a/4 and 4 more"),
        (_differing(), "another order"),
        (BuildFacts(), "no layer"),
        (UNKNOWN, "second build failed"),
    ],
    "secret.canary": [
        (
            _built(leaks=(Leak("pip", "layer", "plain", "root/x", "RUN x"),)),
            "secret pip is in the layer",
        ),
        (_built(leaks=(Leak("pip", "configuration", "base64"),)), "configuration (as base64)"),
        (BuildFacts(layers=4), "nothing was searched"),
        (UNKNOWN, "second build failed"),
    ],
}

FINE: dict[str, list[Any]] = {
    "build.reproducible": [_built(), _built(leaks=(Leak("pip", "layer", "plain"),))],
    "secret.canary": [_built(), _differing("etc/built"), BuildFacts(layers=1, searched=SEARCHED)],
}
