"""Faults and near misses of what an end of the stack leaves behind."""

from __future__ import annotations

from typing import Any

from imageproof.deep.trial_facts import LineFacts, Teardown

FAULTS: dict[str, list[tuple[Any, str]]] = {
    "line.teardown": [
        (LineFacts((Teardown("up and down", ("network shop_default",)),)), "network shop_default"),
        (LineFacts((Teardown("a start that failed", logs_kept=False),)), "logs are not kept"),
        (LineFacts((Teardown("up and down"), Teardown("x", unknown="no engine"))), "no engine"),
        (LineFacts(), "not ended"),
    ]
}

FINE: dict[str, list[Any]] = {
    "line.teardown": [
        LineFacts((Teardown("up and down"), Teardown("a start that failed", logs_kept=True)))
    ]
}
