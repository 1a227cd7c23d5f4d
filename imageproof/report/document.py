"""The verdict as plain data: what the JSON says, and what the other formats are made of.

docs/verdict.schema.json describes it. The same facts give the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from imageproof.image.sizes import BASE_NAME, baseline_for
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.checks import Check, Finding
    from imageproof.image.facts import ImageFacts
    from imageproof.verify.judge import Result, Subject, Verdict

SCHEMA = 2  # of the document: raised when a key changes its meaning or goes
STATUSES = ("pass", "warning", "fail", "unknown", "waived", "not run")


def as_json(verdict: Verdict) -> str:
    """The whole verdict."""
    return json.dumps(document(verdict), indent=2, sort_keys=True, ensure_ascii=False)


def document(verdict: Verdict) -> dict[str, Any]:
    """Everything that the verdict says."""
    return {
        "schema": SCHEMA,
        "holds": verdict.passes,
        "counts": counts(verdict),
        "images": {
            subject.name: _image(subject, subject.image)
            for subject in verdict.subjects
            if subject.image
        },
        "checks": {result.check.id: _check(result.check) for result in verdict.results},
        "results": [_result(result) for result in verdict.results],
    }


def counts(verdict: Verdict) -> dict[str, int]:
    """How many results there are of each status."""
    statuses: list[str] = [result.status for result in verdict.results]
    return {status: statuses.count(status) for status in STATUSES}


def _image(subject: Subject, facts: ImageFacts) -> dict[str, Any]:
    before = baseline_for(facts)
    return {
        "reference": clean(subject.reference),
        "id": clean(facts.identity),
        "layer_bytes": facts.size,
        "budget_bytes": int(subject.contract.size),
        "recorded_bytes": before.size if before else None,
        "layers": [
            {
                "diff_id": layer.diff_id,
                "bytes": layer.size,
                "instruction": clean(layer.instruction),
            }
            for layer in facts.layers
        ],
        "base": clean(facts.labels[BASE_NAME]) if BASE_NAME in facts.labels else None,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "title": check.title,
        "why": check.why,
        "mend": check.remedy,
        "reference": check.reference,
        "severity": check.severity,
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "check": result.check.id,
        "subject": clean(result.subject),
        "status": result.status,
        "reason": clean(result.reason) or None,
        "findings": [_finding(finding) for finding in result.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    def shown(value: object) -> object:
        return clean(value) if isinstance(value, str) else value

    return {
        "message": clean(finding.message),
        "layer": shown(finding.layer),
        "instruction": shown(finding.instruction),
        "file": shown(finding.file),
        "measured": shown(finding.measured),
        "bound": shown(finding.bound),
        "unknown": finding.unknown,
        "warning": finding.warning,
    }
