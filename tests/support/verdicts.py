"""Sample verdicts for the tests of the reports: results of every status, and hostile text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imageproof.checks import Check, Finding
from imageproof.verify.judge import Result, SourceFiles, Status, Subject, Verdict
from tests.support.sample_facts import image, service_contract

MARKUP = "[red]x[/red] [/nothing] [bold"
FINDING = Finding(
    f"a fault: {MARKUP}",
    layer="sha256:" + "a" * 64,
    instruction="RUN echo [green]y[/green]",
    file="/usr/[blue]bin",
    measured=12,
    bound=10,
)
# Terminal escape, markup of HTML, XML and Markdown, line break, characters illegal in XML 1.0.
HOSTILE = "\x1b[2J<script>alert(1)</script>|`*_]]>&amp;\n# head @you \ufffe\x00 \ud800 \u202e"


def result(
    status: Status, *findings: Finding, name: str = "", subject: str = "shop", reason: str = ""
) -> Result:
    """Return a result of an invented check with the id `name`, or `made.STATUS`."""
    id_ = name or f"made.{status.replace(' ', '-')}"
    check = Check(id_, f"Title of {status}", "Why", f"Fix {id_}", "ref", "image", lambda *_: ())
    return Result(check, subject, status, findings, reason)


def verdict(*results: Result, **sources: Any) -> Verdict:
    """Return a verdict on one image; `sources` are fields of its `SourceFiles`."""
    subjects = (Subject("shop", "shop:test", service_contract(), image()),)
    return Verdict(results, subjects, SourceFiles(**{"root": Path("/nowhere")} | sources))


SAMPLE = verdict(
    result("pass"),
    result("fail", FINDING, Finding("another fault")),
    result("unknown", Finding("no probe", unknown=True)),
    result("warning", Finding("worth knowing", warning=True)),
    result("waived", Finding("known fault"), reason=f"because of {MARKUP}"),
    result("not run", reason="with --static"),
    result("fail", Finding("STALE"), name="env.made", subject="project"),
)
HOSTILE_SAMPLE = verdict(
    result("fail", Finding(HOSTILE, instruction=HOSTILE, file=HOSTILE, measured=HOSTILE)),
    result("waived", Finding(HOSTILE), reason=HOSTILE),
    result("unknown", Finding(HOSTILE, unknown=True)),
    result("warning", Finding(HOSTILE, warning=True)),
    result("not run", reason=HOSTILE),
)
