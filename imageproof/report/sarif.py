"""The verdict as SARIF 2.1.0 (OASIS standard), for code scanning.

Each finding points to a line of the Dockerfile or of another file of the project.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imageproof.report.text import clean, details

if TYPE_CHECKING:
    from imageproof.checks import Check, Finding
    from imageproof.verify.judge import Result, Verdict

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
LEVELS = {"fail": "error", "unknown": "error", "warning": "warning", "waived": "note"}
# If a finding has no instruction, it points to the last of these in the Dockerfile, by check.
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
MAX_INSTRUCTION_LINES = 13  # lines of one instruction that are compared
_URL = re.compile(r"https://[^\s;,]+")


def as_sarif(verdict: Verdict) -> str:
    """Return one SARIF run: a rule for each check, a result for each finding.

    Waived findings are suppressed, with the waiver's reason as justification.
    """
    checks = dict(sorted({result.check.id: result.check for result in verdict.results}.items()))
    rules = [_rule(check) for check in checks.values()]
    rule_numbers = {id_: number for number, id_ in enumerate(checks)}
    run = {
        "tool": {"driver": {"name": "imageproof", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the repository"}}},
        "results": [
            item for result in verdict.results for item in _results(verdict, result, rule_numbers)
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


def _results(
    verdict: Verdict, result: Result, rule_numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    if result.status not in LEVELS:
        return
    occurrences: dict[str, int] = {}
    for finding in result.findings:
        file, line = _location(verdict, result, finding)
        text = "; ".join((f"{clean(result.subject)}: {clean(finding.message)}", *details(finding)))
        digest = _digest(result, finding)
        occurrences[digest] = occurrences.get(digest, 0) + 1
        level = "warning" if finding.warning and result.status == "fail" else LEVELS[result.status]
        item: dict[str, Any] = {
            "ruleId": result.check.id,
            "ruleIndex": rule_numbers[result.check.id],
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
            # By this, a finding stays the same alert if other lines of the file change.
            "partialFingerprints": {"imageproofFinding/v1": f"{digest}:{occurrences[digest]}"},
        }
        if result.status == "waived":
            item["suppressions"] = [{"kind": "external", "justification": clean(result.reason)}]
        yield item


def _digest(result: Result, finding: Finding) -> str:
    place = clean(finding.file or finding.message)
    key = f"{result.check.id}\x00{result.subject}\x00{place}"
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _location(verdict: Verdict, result: Result, finding: Finding) -> tuple[str, int]:
    """Return file and line in the repository; line 1 if the line is unknown."""
    sources, check_id = verdict.sources, result.check.id
    in_repository = finding.file if finding.file and not finding.file.startswith("/") else ""
    if in_repository or check_id.startswith("env."):
        file = clean(in_repository) or sources.example
        return file, _definition_line(_lines(verdict, file), finding.message)
    file = sources.dockerfiles.get(result.subject) or sources.compose
    instruction = finding.instruction or INSTRUCTIONS.get(check_id, "")
    return file, _instruction_line(_lines(verdict, file), instruction)


def _lines(verdict: Verdict, file: str) -> list[str]:
    path = Path(verdict.sources.root, file)
    return path.read_text(errors="replace").splitlines() if path.is_file() else []


def _definition_line(lines: list[str], message: str) -> int:
    """Return the number of the line that defines the name at the start of a message; else 1.

    The name is a service's, a variable's or a locked package's. The least indented line counts: a
    service's name may also be, indented more, under `depends_on` of other services.
    """
    name = re.match(r"(?:the secret )?([\w.-]+)", message)
    if name is None:
        return 1
    definition = re.compile(rf"(?P<indent>\s*)(?:- )?{re.escape(name[1])}\s*[:=]")
    matches = [
        (len(match["indent"]), number)
        for number, line in enumerate(lines, 1)
        if (match := definition.match(line))
    ]
    _, first = min(matches, default=(0, 1))
    return first


def _instruction_line(lines: list[str], instruction: str) -> int:
    """Return the number of the last line whose instruction shares most words with `instruction`.

    The texts differ: an image's history has build arguments filled in and COPY options removed.
    """
    keyword, _, arguments = instruction.strip().partition(" ")
    words = set(re.findall(r"[\w./-]{2,}", arguments))
    best_score, best_line = -1, 1
    for number, line in enumerate(lines, 1):
        if keyword and re.match(rf"{re.escape(keyword)}\b", line.strip(), re.IGNORECASE):
            text = " ".join(lines[number - 1 : number - 1 + MAX_INSTRUCTION_LINES])
            score = sum(word in text for word in words)
            if score >= best_score:
                best_score, best_line = score, number
    return best_line
