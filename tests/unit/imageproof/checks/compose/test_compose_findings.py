"""Findings of the compose.* checks."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.checks import REGISTRY, Finding
from tests.support.sample_facts import contract
from tests.unit.imageproof.checks.examples.compose import FAULTS

CASES = [
    pytest.param(facts, id=f"{id_}-{number}")
    for id_, cases in FAULTS.items()
    for number, (facts, _) in enumerate(cases)
]


def _findings(facts: Any) -> list[Finding]:
    checks = [check for check in REGISTRY.values() if check.needs == "compose"]
    return [f for check in checks for f in check.function(contract(compose="stack.yaml"), facts)]


@pytest.mark.parametrize("facts", CASES)
def test_each_fault_has_one_finding_with_service_and_file(facts):
    findings = _findings(facts)
    assert len(findings) == 1, findings
    assert findings[0].message.startswith("shop ")
    assert findings[0].file == "stack.yaml"
