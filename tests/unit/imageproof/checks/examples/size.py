"""Faults and near misses of the size.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.project.project_files import ProjectFiles
from imageproof.project.size_baseline import Baseline
from tests.support.sample_facts import (
    BASE_LABEL,
    MB,
    TODAY,
    Case,
    file,
    image,
    layer,
    package,
    service_contract,
    with_label,
)

LEAN = service_contract(waste="100kB", growth="100kB")
NONE = service_contract(waste=0)
SAME = {"digest": "d" * 32}


def _sized(size: int) -> Any:
    return image(layers=(layer(size=size - MB), layer(size=MB, name="b")))


def _layers(below: Any, above: Any) -> Any:
    return image(layers=(layer(*below), layer(*above, name="b")))


def _recorded(size: int, facts: Any, base: str = "python:3.11", **sizes: Any) -> Any:
    """Return the image with this recorded size."""
    return replace(
        facts, project_files=ProjectFiles(TODAY, baselines=(Baseline(base, size, **sizes),))
    )


def _grown() -> Any:
    """Return an image with a package that grew by 300 kB, in its one large file."""
    shop = package("dpkg", "shop", owns=("srv/stock", "srv/prices"))
    files = (file("srv/stock", size=500_000), file("srv/prices", size=120_000), file(shop.record))
    facts = image(layers=(layer(), layer(*files, size=MB, name="b", packages=(shop,))))
    return _recorded(
        1_700_000,
        facts,
        layers={"COPY a /": MB, "COPY b /": 700_000},
        packages={"dpkg:shop": 320_000, "dpkg:gone": 900_000},
        files={"srv/stock": 200_000, "srv/prices": 120_000, "srv/gone": 900_000},
    )


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "size.budget": [
        (_sized(10 * MB + 1), "have 10.0 MB, the budget is 10.0 MB"),
        (_sized(50 * MB), "the largest layer has 49.0 MB"),
        (
            _grown(),
            "layer COPY b / +0.30 MB, package dpkg:shop +0.30 MB",
            service_contract(size="1MB"),
        ),
        (replace(_sized(50 * MB), project_files=None), "have 50.0 MB, the budget is 10.0 MB"),
    ],
    "size.waste": [
        (
            _layers([file("srv", size=100_001)], [file(".wh.srv")]),
            "the largest: /srv, 0.10 MB, hidden by COPY b /",
            LEAN,
        ),
        (
            _layers([file("a", size=90_000)], [file("a", size=90_000)]),
            "0.09 MB in 1 files",
            service_contract(waste=0),
        ),
        (
            _layers([file("a", size=60_000), file("b", size=60_000)], [file(".wh..wh..opq")]),
            "0.12 MB in 2 files",
            LEAN,
        ),
        (_layers([file("a", size=4096, **SAME)], [file("b", size=4096, **SAME)]), "/b", NONE),
        (
            _layers([file("a", size=200_000, **SAME)], [file("b", size=200_000, **SAME)]),
            "/b, 0.20 MB, the same as /a in a lower layer",
            LEAN,
        ),
    ],
    "size.growth": [
        (_grown(), "grew by 0.30 MB since the baseline (0.10 MB allowed): layer COPY b /", LEAN),
        (_grown(), "layer COPY b / +0.30 MB, package dpkg:shop +0.30 MB, file /srv/stock", LEAN),
        (_recorded(MB, _sized(10 * MB)), "grew by 9.00 MB"),  # within the budget
        (_recorded(MB, _sized(2 * MB), files={"gone": MB}), "allowed): layer COPY"),
        (_recorded(MB, _sized(2 * MB)), "grew by 1.00 MB since the baseline (0.50 MB allowed)"),
        (_recorded(MB, _sized(MB), base="python:3.12"), "on the base python:3.11: run `./inv size"),
        (replace(image(), project_files=ProjectFiles(TODAY, baselines=())), "no size is recorded"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "size.budget": [_sized(10 * MB), image(layers=())],
    "size.waste": [
        _layers([file("srv", size=100_000)], [file(".wh.srv")]),
        Case(_layers([file("srv", size=100_000)], [file(".wh.srv")]), LEAN),  # the limit itself
        # A moved file is hidden in one layer and new in the next: its bytes are wasted once.
        Case(
            _layers(
                [file("a", size=60_000, **SAME)], [file(".wh.a"), file("b", size=60_000, **SAME)]
            ),
            LEAN,
        ),
        Case(_layers([], [file(n, size=200_000, **SAME) for n in "ab"]), LEAN),  # in one layer
        Case(
            _layers([file("a", size=4095, **SAME)], [file("b", size=4095, **SAME)]),
            service_contract(waste=0),
        ),
        Case(
            _layers([file("a", kind="folder", size=4096)], [file(".wh.a")]),
            service_contract(waste=0),
        ),
        Case(
            _layers(
                [file("a", kind="hardlink", size=9000, **SAME)],
                [file("b", kind="hardlink", size=9000, **SAME)],
            ),
            NONE,
        ),
        Case(_layers([file("a", size=200_000)], [file("b", size=200_000)]), LEAN),  # no digests
    ],
    "size.growth": [
        image(),  # the contract names no file of sizes
        _recorded(1_500_000, _sized(2 * MB)),  # the limit itself
        _recorded(9 * MB, _sized(2 * MB)),
        _recorded(2 * MB, with_label(BASE_LABEL, "mirror.invalid/library/python:3.11@sha256:e")),
        _recorded(MB, _sized(50 * MB)),  # size.budget reports it
        replace(image(), project_files=None),
        replace(
            with_label(BASE_LABEL, ""), project_files=ProjectFiles(TODAY, baselines=())
        ),  # base.recorded
    ],
}
