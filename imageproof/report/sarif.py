"""The verdict as SARIF 2.1.0 (OASIS standard), for code scanning: findings at the lines of the
Dockerfile, the compose file or .env.example that they come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imageproof.report.table import places
from imageproof.report.text import clean

if TYPE_CHECKING:
    from imageproof.checks import Check, Finding
    from imageproof.verify.judge import Result, Verdict

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
LEVELS = {"fail": "error", "unknown": "error", "warning": "warning", "waived": "note"}
# The instruction of a Dockerfile that a check of the configuration is about.
INSTRUCTIONS = {
    "user.nonroot": "USER",
    "user.numeric": "USER",
    "secret.env": "ENV",
    "secret.label": "LABEL",
    "config.exec-form": "CMD",
    "config.healthcheck": "HEALTHCHECK",
    "config.labels": "LABEL",
    "config.ports": "EXPOSE",
    "config.workdir": "WORKDIR",
    "config.volumes": "VOLUME",
    "config.env": "ENV",
    "config.stop-signal": "STOPSIGNAL",
    "base.recorded": "LABEL",
    "base.pinned": "LABEL",
    "base.supported": "FROM",
}
_URL = re.compile(r"https://[^\s;,]+")


def as_sarif(verdict: Verdict) -> str:
    """One run: a rule a check, a result a finding that does not pass; waived ones suppressed."""
    checks = sorted({r.check.id: r.check for r in verdict.results}.items())
    rules = [_rule(check) for _, check in checks]
    index = {check_id: number for number, (check_id, _) in enumerate(checks)}
    run = {
        "tool": {
            "driver": {
                "name": "inv verify",
                "rules": rules,
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the repository"}}},
        "results": [
            item for result in verdict.results for item in _results(verdict, result, index)
        ],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)


def _rule(check: Check) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {"text": f"{check.remedy}\n\n{check.reference}"},
        "defaultConfiguration": {"level": check.severity},
    }
    if url := _URL.search(check.reference):
        rule["helpUri"] = url[0]
    return rule


def _results(verdict: Verdict, result: Result, index: dict[str, int]) -> Iterator[dict[str, Any]]:
    if result.status not in LEVELS:
        return
    seen: dict[str, int] = {}
    for finding in result.findings:
        file, line = _place(verdict, result, finding)
        text = "; ".join((f"{clean(result.subject)}: {clean(finding.message)}", *places(finding)))
        named = clean(finding.file or finding.message)
        about = f"{result.check.id}\x00{result.subject}\x00{named}"
        print_ = hashlib.sha256(about.encode()).hexdigest()[:32]
        seen[print_] = seen.get(print_, 0) + 1
        level = "warning" if finding.warning and result.status == "fail" else LEVELS[result.status]
        item: dict[str, Any] = {
            "ruleId": result.check.id,
            "ruleIndex": index[result.check.id],
            "level": level,
            "message": {"text": text},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(file), "uriBaseId": "SRCROOT"},
                        "region": {"startLine": line},
                    }
                }
            ],
            # The same finding is the same alert, whatever else changed in the file.
            "partialFingerprints": {"imageproofFinding/v1": f"{print_}:{seen[print_]}"},
        }
        if result.status == "waived":
            item["suppressions"] = [{"kind": "external", "justification": clean(result.reason)}]
        yield item


def _place(verdict: Verdict, result: Result, finding: Finding) -> tuple[str, int]:
    """File and line in the repository; line 1 where nothing nearer is known."""
    if result.check.id.startswith("compose."):
        _, _, service = (finding.file or "").rpartition(" ")
        return verdict.sources.compose, _line(verdict, verdict.sources.compose, f"{service}:")
    if result.check.id.startswith("env."):
        name = re.match(r"\w+", finding.message)
        file = verdict.sources.example
        return file, _line(verdict, file, f"{name[0]}=" if name else "")
    file = verdict.sources.dockerfiles.get(result.subject) or verdict.sources.compose
    wanted = finding.instruction or INSTRUCTIONS.get(result.check.id, "")
    return file, _instruction(_text(verdict, file), wanted)


def _text(verdict: Verdict, file: str) -> list[str]:
    path = Path(verdict.sources.root, file)
    return path.read_text(errors="replace").splitlines() if path.is_file() else []


def _line(verdict: Verdict, file: str, start: str) -> int:
    """The line that starts so; the outermost, since a service is named where others need it too."""
    found = [
        (len(line) - len(line.lstrip()), number)
        for number, line in enumerate(_text(verdict, file), 1)
        if start and line.lstrip().startswith(start)
    ]
    return min(found, default=(0, 1))[1]


def _instruction(lines: list[str], wanted: str) -> int:
    """The line where an instruction begins: the last one whose words agree the most.

    History has arguments filled in and COPY without its options, so the words are compared.
    """
    keyword, _, rest = wanted.strip().partition(" ")
    words = set(re.findall(r"[\w./-]{2,}", rest))
    best, found = -1, 1
    for number, line in enumerate(lines, 1):
        if keyword and re.match(rf"{re.escape(keyword)}\b", line.strip(), re.IGNORECASE):
            following = " ".join(lines[number - 1 : number + 12])
            score = sum(word in following for word in words)
            if score >= best:
                best, found = score, number
    return found
