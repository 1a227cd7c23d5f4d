"""The verdict as JUnit XML, which every CI server shows: a suite a subject, a case a check."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from imageproof.report.table import places
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.verify.judge import Result, Verdict


def as_junit(verdict: Verdict) -> str:
    """failure: falls short. error: could not look. skipped: waived, or not run. A warning is a
    pass with words in system-out."""
    suites = Element("testsuites", name="inv verify")
    for subject in dict.fromkeys(result.subject for result in verdict.results):
        results = [result for result in verdict.results if result.subject == subject]
        suite = SubElement(suites, "testsuite", _numbers(results), name=clean(subject))
        for result in results:
            _case(suite, result)
    for key, value in _numbers(list(verdict.results)).items():
        if key != "skipped":  # the outermost element has no such attribute
            suites.set(key, value)
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode")


def _numbers(results: list[Result]) -> dict[str, str]:
    statuses = [result.status for result in results]
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count("fail")),
        "errors": str(statuses.count("unknown")),
        "skipped": str(statuses.count("waived") + statuses.count("not run")),
        "time": "0",
    }


def _case(suite: Element, result: Result) -> None:
    case = SubElement(
        suite,
        "testcase",
        name=f"{result.check.id}: {result.check.title}",
        classname=f"{clean(result.subject)}.{result.check.id}",
        time="0",
    )
    words = "\n".join(
        "\n  ".join((clean(finding.message), *places(finding))) for finding in result.findings
    )
    first = clean(result.findings[0].message) if result.findings else clean(result.reason)
    if result.status in ("fail", "unknown"):
        kind = "failure" if result.status == "fail" else "error"
        SubElement(
            case, kind, message=first, type=result.check.id
        ).text = f"{words}\n\n{result.check.remedy}\n{result.check.reference}"
    elif result.status in ("waived", "not run"):
        waived = f"waived: {result.reason} ({words})"
        said = waived if result.status == "waived" else result.reason
        SubElement(case, "skipped", message=clean(said))
    if result.status == "warning":
        SubElement(case, "system-out").text = f"warning: {words}\n\n{result.check.remedy}"
