"""The verdict as JUnit XML: a test suite for each subject, a test case for each check."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from imageproof.report.status import by_subject
from imageproof.report.text import clean, details

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imageproof.verify.judge import Result, Verdict


def as_junit(verdict: Verdict) -> str:
    """Return the verdict as JUnit XML.

    A case is a failure for `fail`, an error for `unknown`, and skipped for `waived` and `not run`.
    For `warning` it passes, with the findings in system-out.
    """
    suites = Element("testsuites", name="imageproof")
    for subject, results in by_subject(verdict).items():
        suite = SubElement(suites, "testsuite", _totals(results), name=clean(subject))
        for result in results:
            _add_case(suite, result)
    for key, value in _totals(verdict.results).items():
        if key != "skipped":  # `testsuites` has no such attribute
            suites.set(key, value)
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode")


def _totals(results: Sequence[Result]) -> dict[str, str]:
    statuses = [result.status for result in results]
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count("fail")),
        "errors": str(statuses.count("unknown")),
        "skipped": str(statuses.count("waived") + statuses.count("not run")),
        "time": "0",
    }


def _add_case(suite: Element, result: Result) -> None:
    check = result.check
    case = SubElement(
        suite,
        "testcase",
        name=f"{check.id}: {check.title}",
        classname=f"{clean(result.subject)}.{check.id}",
        time="0",
    )
    messages = [clean(finding.message) for finding in result.findings]
    findings = "\n".join(
        "\n  ".join((message, *details(finding)))
        for message, finding in zip(messages, result.findings, strict=True)
    )
    if result.status in ("fail", "unknown"):
        tag = "failure" if result.status == "fail" else "error"
        summary = messages[0] if messages else clean(result.reason)
        element = SubElement(case, tag, message=summary, type=check.id)
        element.text = f"{findings}\n\n{result.remedy}\n{check.reference}"
    elif result.status == "waived":
        SubElement(case, "skipped", message=clean(f"waived: {result.reason} ({findings})"))
    elif result.status == "not run":
        SubElement(case, "skipped", message=clean(result.reason))
    elif result.status == "warning":
        SubElement(case, "system-out").text = f"warning: {findings}\n\n{check.remedy}"
