"""The verdict as Markdown, for a pull request or the summary page of a CI run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.report.size_changes import growth_text
from imageproof.report.status import LOOKS, by_subject, count_line, headline, sort_worst_first
from imageproof.report.text import clean, comparison, places

if TYPE_CHECKING:
    from imageproof.checks import Finding
    from imageproof.verify.judge import Result, Subject, Verdict

# Markup of GitHub Flavored Markdown and HTML, and the @ that notifies a user.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~>@])")


def as_markdown(verdict: Verdict) -> str:
    """Return the page: verdict, sizes, findings of each subject, and passes, folded."""
    glyph = LOOKS["pass" if verdict.passes else "fail"].glyph
    lines = [f"## {glyph} imageproof: {headline(verdict)}", "", count_line(verdict), ""]
    lines += _sizes(verdict.subjects)
    for subject, results in by_subject(verdict).items():
        lines += ["", f"### {escaped(subject)}", ""]
        lines += _findings(results)
        lines += _passes(results)
        lines += _not_run(results)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def escaped(text: str) -> str:
    """Return the text escaped, so that Markdown shows it literally, also in a table cell."""
    safe = clean(text).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKUP.sub(r"\\\1", safe)


def _sizes(subjects: Sequence[Subject]) -> Iterator[str]:
    images = [(subject, subject.image) for subject in subjects if subject.image]
    if images:
        yield "| image | size | budget | since baseline |"
        yield "| --- | ---: | ---: | ---: |"
    for subject, facts in images:
        budget = int(subject.contract.size)
        yield (
            f"| {escaped(subject.name)} | {facts.size / 1e6:.1f} MB "
            f"| {budget / 1e6:.0f} MB ({facts.size / budget:.0%}) | {growth_text(facts)} |"
        )


def _findings(results: Sequence[Result]) -> Iterator[str]:
    shown = [result for result in results if result.status not in ("pass", "not run")]
    if shown:
        yield "| | check | finding | remedy |"
        yield "| --- | --- | --- | --- |"
    for result in sort_worst_first(shown):
        texts = [_finding(finding) for finding in result.findings]
        if result.status == "waived":
            texts.append(f"*waived:* {escaped(result.reason)}")
        yield (
            f"| {LOOKS[result.status].glyph} {result.status} | {escaped(result.check.id)} "
            f"| {'<br>'.join(texts)} | {escaped(result.remedy)} |"
        )


def _finding(finding: Finding) -> str:
    lines = [escaped(finding.message)]
    if values := comparison(finding):
        expected, actual = map(escaped, values)
        lines.append(f"expected: **{expected}** actual: **{actual}**")
    lines += [f"{label}: {escaped(text)}" for label, text in places(finding)]
    return "<br>".join(lines)


def _passes(results: Sequence[Result]) -> Iterator[str]:
    ids = sorted(result.check.id for result in results if result.status == "pass")
    if ids:
        yield f"\n<details><summary>{len(ids)} pass</summary>\n"
        yield ", ".join(map(escaped, ids))
        yield "\n</details>\n"


def _not_run(results: Sequence[Result]) -> Iterator[str]:
    reasons = Counter(result.reason for result in results if result.status == "not run")
    for reason, number in reasons.items():
        yield f"\n{number} not run: {escaped(reason)}"
