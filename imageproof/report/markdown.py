"""The verdict as Markdown, for a pull request or a CI server's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.report.size_changes import growth
from imageproof.report.table import MARKS, WORST_FIRST, count, places
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.verify.judge import Result, Subject, Verdict

# What means something in GitHub Flavored Markdown, in HTML, or would ping somebody.
_MEANS = re.compile(r"([\\`*_{}\[\]()#+!|~>@])")


def as_markdown(verdict: Verdict) -> str:
    """A heading with the verdict, sizes, what does not pass, and the rest folded away."""
    lines = [f"## {'✓ verify holds' if verdict.passes else '✗ verify falls short'}", ""]
    lines += [count(verdict), ""]
    lines += _sizes(verdict.subjects)
    for subject in dict.fromkeys(result.subject for result in verdict.results):
        results = [result for result in verdict.results if result.subject == subject]
        lines += _subject(subject, results)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """Text that shows as it is, in one cell of a table."""
    shown = clean(text).replace("&", "&amp;").replace("<", "&lt;")
    return _MEANS.sub(r"\\\1", shown)


def _sizes(subjects: Sequence[Subject]) -> Iterator[str]:
    known = [subject for subject in subjects if subject.image]
    if known:
        yield "| image | size | budget | since recorded |"
        yield "| --- | ---: | ---: | ---: |"
    for subject in known:
        facts, budget = subject.image, int(subject.contract.size)
        assert facts is not None
        yield (
            f"| {escaped(subject.name)} | {facts.size / 1e6:.1f} MB "
            f"| {budget / 1e6:.0f} MB ({facts.size / budget:.0%}) | {growth(facts)} |"
        )
    if known:
        yield ""


def _subject(subject: str, results: Sequence[Result]) -> Iterator[str]:
    worse = [r for r in results if r.status not in ("pass", "not run")]
    yield f"### {escaped(subject)}"
    yield ""
    if worse:
        yield "| | check | finding | mend |"
        yield "| --- | --- | --- | --- |"
    for result in sorted(worse, key=lambda r: (WORST_FIRST.index(r.status), r.check.id)):
        said = [
            "<br>".join(map(escaped, (finding.message, *places(finding))))
            for finding in result.findings
        ]
        if result.status == "waived":
            said.append(f"*waived:* {escaped(result.reason)}")
        mark = f"{MARKS[result.status][0]} {result.status}"
        yield (
            f"| {mark} | {escaped(result.check.id)} | {'<br>'.join(said)} "
            f"| {escaped(result.check.remedy)} |"
        )
    if worse:
        yield ""
    passed = sorted(r.check.id for r in results if r.status == "pass")
    if passed:
        yield f"<details><summary>{len(passed)} pass</summary>"
        yield ""
        yield ", ".join(map(escaped, passed))
        yield ""
        yield "</details>"
        yield ""
    skipped: dict[str, int] = {}
    for result in results:
        if result.status == "not run":
            skipped[result.reason] = skipped.get(result.reason, 0) + 1
    for reason, number in skipped.items():
        yield f"{number} not run: {escaped(reason)}"
        yield ""
