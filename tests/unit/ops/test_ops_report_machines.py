"""ops.report.junit, sarif and markdown: what CI servers and code hosts read."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sarif_pydantic import Sarif

from ops.checks import Finding
from ops.report.junit import as_junit
from ops.report.markdown import as_markdown, escaped
from ops.report.sarif import as_sarif
from tests.unit.ops.verdicts import ALL, HOSTILE, SPOILT, result, verdict

# --- JUnit


def _cases(text: str) -> dict[str, ET.Element]:
    root = ET.fromstring(text)  # this project wrote it
    return {case.attrib["classname"]: case for case in root.iter("testcase")}


def test_junit_has_a_suite_a_subject_and_a_case_a_check():
    root = ET.fromstring(as_junit(ALL))
    assert [suite.attrib["name"] for suite in root] == ["shop", "project"]
    assert root[0].attrib | {"name": ""} == {
        "name": "", "tests": "6", "failures": "1", "errors": "1", "skipped": "2", "time": "0",
    }  # fmt: skip
    assert root.attrib["tests"] == "7"
    assert root.attrib["failures"] == "2"


@pytest.mark.parametrize(
    ("case", "children"),
    [
        ("made.pass", []),
        ("made.fail", ["failure"]),
        ("made.unknown", ["error"]),
        ("made.warning", ["system-out"]),
        ("made.waived", ["skipped"]),
        ("made.not-run", ["skipped"]),
    ],
)
def test_a_case_says_how_its_check_ended(case, children):
    assert [child.tag for child in _cases(as_junit(ALL))[f"shop.{case}"]] == children


def test_a_failure_holds_every_finding_its_place_and_the_mend():
    (failure,) = _cases(as_junit(ALL))["shop.made.fail"]
    for text in ("another fault", "/usr/[blue]bin", "RUN echo [green]y", "Mend made.fail"):
        assert text in (failure.text or "")


def test_hostile_text_leaves_junit_well_formed():
    assert len(_cases(as_junit(SPOILT))) == 5


# --- SARIF


def _results(made: Any) -> list[dict[str, Any]]:
    text = as_sarif(made)
    Sarif.model_validate_json(text)
    return json.loads(text)["runs"][0]["results"]


def test_sarif_has_a_result_a_finding_that_does_not_pass():
    assert [(r["ruleId"], r["level"]) for r in _results(ALL)] == [
        ("made.fail", "error"),
        ("made.fail", "error"),
        ("made.unknown", "error"),
        ("made.warning", "warning"),
        ("made.waived", "note"),
        ("env.made", "error"),
    ]


def test_a_waived_finding_is_suppressed_with_its_reason():
    (waived,) = (r for r in _results(ALL) if r["ruleId"] == "made.waived")
    assert waived["suppressions"][0]["justification"].startswith("because of")


def test_each_result_names_its_rule_by_number_too():
    rules = json.loads(as_sarif(ALL))["runs"][0]["tool"]["driver"]["rules"]
    for item in _results(ALL):
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]


def test_the_same_finding_keeps_its_fingerprint_and_two_findings_have_two():
    prints = [r["partialFingerprints"]["opsFinding/v1"] for r in _results(ALL)]
    assert len(set(prints)) == len(prints)
    assert prints == [r["partialFingerprints"]["opsFinding/v1"] for r in _results(ALL)]
    twice = verdict(result("fail", Finding("x", file="/a"), Finding("x", file="/a")))
    assert len({r["partialFingerprints"]["opsFinding/v1"] for r in _results(twice)}) == 2


DOCKERFILE = """FROM base AS first
COPY a /a
USER 0:0
FROM scratch
COPY --from=first --chmod=755 \\
    /usr/bin/thing /usr/bin/thing
ENV A=1 \\
    B=2
USER 10001:10001
"""


def _line(tmp_path: Any, finding: Finding, name: str) -> tuple[str, int]:
    (tmp_path / "Dockerfile.shop").write_text(DOCKERFILE)
    (tmp_path / "compose.yaml").write_text("services:\n  shop:\n    image: x\n")
    (tmp_path / ".env.example").write_text("# a\nLOG_LEVEL=info\n")
    made = verdict(
        result("fail", finding, name=name), root=tmp_path, dockerfiles={"shop": "Dockerfile.shop"}
    )
    place = _results(made)[0]["locations"][0]["physicalLocation"]
    return place["artifactLocation"]["uri"], place["region"]["startLine"]


@pytest.mark.parametrize(
    ("finding", "name", "place"),
    [
        (Finding("x", instruction="COPY /usr/bin/thing /usr/bin/thing"), "fs.setuid", ("D", 5)),
        (Finding("x", instruction="COPY a /a"), "fs.setuid", ("D", 2)),
        (Finding("x"), "user.nonroot", ("D", 9)),
        (Finding("x"), "config.env", ("D", 7)),
        (Finding("x"), "run.nonroot", ("D", 1)),
        (Finding("x", file="compose service shop"), "compose.hardening", ("compose.yaml", 2)),
        (Finding("LOG_LEVEL: differs"), "env.parity", (".env.example", 2)),
        (Finding("OTHER: not there"), "env.parity", (".env.example", 1)),
    ],
)
def test_a_finding_points_at_the_line_that_it_comes_from(tmp_path, finding, name, place):
    file, line = place
    wanted = ("Dockerfile.shop" if file == "D" else file, line)
    assert _line(tmp_path, finding, name) == wanted


def test_hostile_text_leaves_sarif_valid():
    assert len(_results(SPOILT)) == 4


# --- Markdown


def test_markdown_says_first_whether_it_holds():
    assert as_markdown(ALL).startswith("## ✗ verify falls short\n\n1 pass, ")
    assert as_markdown(verdict(result("pass"))).startswith("## ✓ verify holds\n\n1 pass")


def test_markdown_folds_what_passes_and_counts_what_was_not_run():
    text = as_markdown(ALL)
    assert "<details><summary>1 pass</summary>\n\nmade.pass\n\n</details>" in text
    assert "1 not run: with --static" in text


def test_every_row_of_a_table_has_the_same_number_of_cells():
    for made in (ALL, SPOILT):
        for line in as_markdown(made).splitlines():
            if line.startswith(("| ✗", "| ?", "| !", "| ~")):
                assert line.replace("\\|", "").count("|") == 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<b>", "&lt;b\\>"),
        ("&amp;", "&amp;amp;"),
        ("@you #1 `x`", "\\@you \\#1 \\`x\\`"),
        ("two\nlines", "two lines"),
        ("[a](b)", "\\[a\\]\\(b\\)"),
    ],
)
def test_text_is_shown_as_it_is(text, shown):
    assert escaped(text) == shown


def test_hostile_text_brings_no_markup():
    text = as_markdown(SPOILT)
    assert "<script" not in text
    assert "\n# head" not in text
    assert HOSTILE not in text
