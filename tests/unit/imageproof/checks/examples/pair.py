"""Faults and near misses of the pair.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.sample_facts import (
    BASE_LABEL,
    Case,
    contract,
    file,
    image,
    layer,
    package,
    service_contract,
    with_label,
    with_packages,
)

SAME_USER = contract(images={"web": service_contract(), "job": service_contract()})
OTHER_USER = contract(
    images={"web": service_contract(), "job": service_contract(user="10002:10002")}
)


def _pair(web: Any, job: Any) -> dict[str, Any]:
    return {"web": web, "job": job}


def _with(*versions: str, kind: str = "python", name: str = "spam") -> Any:
    paths = (f"app/{number}/node_modules/{name}/package.json" for number in range(9))
    packages = (package(kind, name, version, record=next(paths)) for version in versions)
    return with_packages(*packages)


def _python(version: str) -> Any:
    return image(layers=(layer(file(f"usr/local/lib/python{version}/os.py")),))


def _based(facts: Any, base: str) -> Any:
    return replace(facts, labels={**facts.labels, BASE_LABEL: base})


OTHER_LAYER = image(layers=(layer(name="b"),))

FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "pair.shared": [
        (
            _pair(image(), OTHER_LAYER),
            "job and web are made from python:3.11, but share no layer",
            SAME_USER,
        ),
        (_pair(image(), image()), "10002:10002 in job, 10001:10001 in web", OTHER_USER),
        (_pair(_python("3.11"), _python("3.12")), "Python is 3.12 in job, 3.11 in web", SAME_USER),
        (_pair(_with("1.0"), _with("2.0")), "spam is 2.0 in job, 1.0 in web", SAME_USER),
        (
            _pair(_with("1.0", kind="npm"), _with("2.0", "3.0", kind="npm")),
            "spam is 2.0 and 3.0 in job, 1.0 in web",
            SAME_USER,
        ),
        (_pair(_with("1", kind="dpkg"), _with("2", kind="dpkg")), "spam is 2 in job", SAME_USER),
    ]
}

NEAR_MISSES: dict[str, list[Any]] = {
    "pair.shared": [
        Case(_pair(image(), image()), SAME_USER),
        Case({"web": image()}, contract(images={"web": service_contract()})),
        # one image without Python, on another base
        Case(_pair(_python("3.11"), _based(OTHER_LAYER, "scratch")), SAME_USER),
        Case(_pair(_based(image(), "a"), _based(OTHER_LAYER, "b")), SAME_USER),
        Case(_pair(_based(image(), ""), _based(OTHER_LAYER, "")), SAME_USER),
        # npm's tree may hold several versions
        Case(_pair(_with("1.0", "2.0", kind="npm"), _with("2.0", kind="npm")), SAME_USER),
        Case(_pair(_with("1.0", name="Ice_Cream"), _with("1.0", name="ice-cream")), SAME_USER),
        Case(
            _pair(_based(_with("1", kind="dpkg"), "debian:12"), _with("2", kind="dpkg")), SAME_USER
        ),  # two distributions
        Case(_pair(_with("1.0"), image()), SAME_USER),
        Case(_pair(image(layers=()), image()), SAME_USER),
        Case(_pair(image(), replace(image(), user="0:0")), SAME_USER),  # user.nonroot reports it
        Case(_pair(with_label("more", "1"), image()), SAME_USER),
    ]
}
