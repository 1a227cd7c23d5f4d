"""The verdict as JSON, described by docs/report.schema.json. The same facts give the same bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from imageproof.image.sizes import BASE_NAME, baseline_for
from imageproof.report.status import counts
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.checks import Check, Finding
    from imageproof.image.facts import ImageFacts
    from imageproof.verify.judge import Result, Subject, Verdict

SCHEMA = 3  # raised if a key is removed or changes its meaning


def as_json(verdict: Verdict) -> str:
    """Return the whole verdict as JSON text."""
    return json.dumps(document(verdict), indent=2, sort_keys=True, ensure_ascii=False)


def document(verdict: Verdict) -> dict[str, Any]:
    """Return the whole verdict as JSON values."""
    return {
        "schema": SCHEMA,
        "passes": verdict.passes,
        "counts": counts(verdict),
        "images": {
            subject.name: _image(subject, facts=subject.image)
            for subject in verdict.subjects
            if subject.image
        },
        "checks": {result.check.id: _check(result.check) for result in verdict.results},
        "results": [_result(result) for result in verdict.results],
    }


def _image(subject: Subject, facts: ImageFacts) -> dict[str, Any]:
    baseline = baseline_for(facts)
    return {
        "reference": clean(subject.reference),
        "id": clean(facts.identity),
        "layer_bytes": facts.size,
        "budget_bytes": int(subject.contract.size),
        "baseline_bytes": baseline.size if baseline else None,
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
        "remedy": check.remedy,
        "reference": check.reference,
        "severity": check.severity,
        "needs": check.needs,
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
    return {
        "message": clean(finding.message),
        "layer": _clean_value(finding.layer),
        "instruction": _clean_value(finding.instruction),
        "file": _clean_value(finding.file),
        "measured": _clean_value(finding.measured),
        "bound": _clean_value(finding.bound),
        "unknown": finding.unknown,
        "warning": finding.warning,
    }


def _clean_value(value: float | str | None) -> float | str | None:
    return clean(value) if isinstance(value, str) else value
