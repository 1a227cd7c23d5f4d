"""Faults and near misses of the line.* checks."""

from __future__ import annotations

from typing import Any

from imageproof.deep.teardown import Teardown, TeardownFacts

FAULTS: dict[str, list[tuple[Any, str]]] = {
    "line.teardown": [
        (
            TeardownFacts((Teardown("up and down", ("network shop_default",)),)),
            "network shop_default",
        ),
        (TeardownFacts((Teardown("a start that failed", logs_saved=False),)), "logs are not saved"),
        (TeardownFacts((Teardown("up and down"), Teardown("x", unknown="no engine"))), "no engine"),
        (TeardownFacts(), "not stopped"),
    ]
}

NEAR_MISSES: dict[str, list[Any]] = {
    "line.teardown": [
        TeardownFacts((Teardown("up and down"), Teardown("a start that failed", logs_saved=True)))
    ]
}
