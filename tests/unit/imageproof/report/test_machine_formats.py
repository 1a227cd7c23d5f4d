"""imageproof.report.junit, sarif and markdown: what CI servers and code hosts read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from imageproof.checks import Finding
from imageproof.report.junit import as_junit
from imageproof.report.markdown import as_markdown, escaped
from imageproof.report.sarif import as_sarif
from tests.support.verdicts import HOSTILE, HOSTILE_SAMPLE, SAMPLE, result, verdict

# --- JUnit


def _cases(text: str) -> dict[str, ET.Element]:
    root = ET.fromstring(text)  # this project wrote it
    return {case.attrib["classname"]: case for case in root.iter("testcase")}


def test_junit_has_a_suite_a_subject_and_a_case_a_check():
    root = ET.fromstring(as_junit(SAMPLE))
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
    assert [child.tag for child in _cases(as_junit(SAMPLE))[f"shop.{case}"]] == children


def test_a_failure_holds_every_finding_its_place_and_the_mend():
    (failure,) = _cases(as_junit(SAMPLE))["shop.made.fail"]
    for text in ("another fault", "/usr/[blue]bin", "RUN echo [green]y", "Fix made.fail"):
        assert text in (failure.text or "")


# What jenkins-junit.xsd, which most readers keep to, allows: attributes and elements within.
ALLOWED = {
    "testsuites": ("name time tests failures errors disabled", "testsuite"),
    "testsuite": (
        "name tests failures errors skipped disabled time timestamp hostname id package",
        "properties testcase system-out system-err",
    ),
    "testcase": (
        "name classname time assertions status", "skipped error failure system-out system-err"
    ),
    "skipped": ("message", ""),
    "failure": ("message type", ""),
    "error": ("message type", ""),
    "system-out": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("made", [SAMPLE, HOSTILE_SAMPLE])
def test_junit_has_nothing_that_its_readers_do_not_know(made):
    for element in ET.fromstring(as_junit(made)).iter():
        attributes, within = ALLOWED[element.tag]
        assert set(element.attrib) <= set(attributes.split())
        assert {child.tag for child in element} <= set(within.split())
        for number in ("tests", "failures", "errors", "skipped"):
            assert re.fullmatch(r"\d+", element.attrib.get(number, "0"))


def test_hostile_text_leaves_junit_well_formed():
    assert len(_cases(as_junit(HOSTILE_SAMPLE))) == 5


# --- SARIF


SARIF = jsonschema.Draft4Validator(
    json.loads((Path(__file__).parent / "data/sarif-schema-2.1.0.json").read_text())
)


def _results(made: Any) -> list[dict[str, Any]]:
    document = json.loads(as_sarif(made))
    SARIF.validate(document)
    return document["runs"][0]["results"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("version"),
        lambda d: d["runs"][0]["results"][0].pop("message"),
        lambda d: d["runs"][0]["results"][0].update(level="bad"),
        lambda d: d["runs"][0]["tool"]["driver"]["rules"][0].update(why="x"),
    ],
)
def test_sarif_of_another_form_is_refused(spoil):
    document = json.loads(as_sarif(SAMPLE))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        SARIF.validate(document)


def test_a_rule_says_why_how_to_mend_it_and_where_to_read_on():
    check = replace(SAMPLE.results[1].check, reference="CIS 4.1; https://docs.test/user, and more")
    made = verdict(replace(SAMPLE.results[1], check=check))
    (rule,) = json.loads(as_sarif(made))["runs"][0]["tool"]["driver"]["rules"]
    assert rule["helpUri"] == "https://docs.test/user"
    assert rule["fullDescription"]["text"] == "Why"
    assert rule["help"]["text"].startswith("Fix made.fail")
    assert rule["defaultConfiguration"]["level"] == "error"


def test_sarif_has_a_result_a_finding_that_does_not_pass():
    assert [(r["ruleId"], r["level"]) for r in _results(SAMPLE)] == [
        ("made.fail", "error"),
        ("made.fail", "error"),
        ("made.unknown", "error"),
        ("made.warning", "warning"),
        ("made.waived", "note"),
        ("env.made", "error"),
    ]


def test_a_waived_finding_is_suppressed_with_its_reason():
    (waived,) = (r for r in _results(SAMPLE) if r["ruleId"] == "made.waived")
    assert waived["suppressions"][0]["justification"].startswith("because of")


def test_each_result_names_its_rule_by_number_too():
    rules = json.loads(as_sarif(SAMPLE))["runs"][0]["tool"]["driver"]["rules"]
    for item in _results(SAMPLE):
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]


def test_the_same_finding_keeps_its_fingerprint_and_two_findings_have_two():
    prints = [r["partialFingerprints"]["imageproofFinding/v1"] for r in _results(SAMPLE)]
    assert len(set(prints)) == len(prints)
    assert prints == [r["partialFingerprints"]["imageproofFinding/v1"] for r in _results(SAMPLE)]
    twice = verdict(result("fail", Finding("x", file="/a"), Finding("x", file="/a")))
    assert len({r["partialFingerprints"]["imageproofFinding/v1"] for r in _results(twice)}) == 2


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
    (tmp_path / "compose.yaml").write_text(
        "services:\n  first:\n    depends_on:\n      shop:\n  shop:\n    image: x\n"
    )
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
        (Finding("x", file="compose service shop"), "compose.hardening", ("compose.yaml", 5)),
        (Finding("LOG_LEVEL: differs"), "env.parity", (".env.example", 2)),
        (Finding("OTHER: not there"), "env.parity", (".env.example", 1)),
    ],
)
def test_a_finding_points_at_the_line_that_it_comes_from(tmp_path, finding, name, place):
    file, line = place
    wanted = ("Dockerfile.shop" if file == "D" else file, line)
    assert _line(tmp_path, finding, name) == wanted


def test_hostile_text_leaves_sarif_valid():
    assert len(_results(HOSTILE_SAMPLE)) == 4


# --- Markdown


def test_markdown_says_first_whether_it_holds():
    assert as_markdown(SAMPLE).startswith("## ✗ verify falls short\n\n1 pass, ")
    assert as_markdown(verdict(result("pass"))).startswith("## ✓ verify holds\n\n1 pass")


def test_markdown_folds_what_passes_and_counts_what_was_not_run():
    text = as_markdown(SAMPLE)
    assert "<details><summary>1 pass</summary>\n\nmade.pass\n\n</details>" in text
    assert "1 not run: with --static" in text


def test_every_row_of_a_table_has_the_same_number_of_cells():
    for made in (SAMPLE, HOSTILE_SAMPLE):
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
    text = as_markdown(HOSTILE_SAMPLE)
    assert "<script" not in text
    assert "\n# head" not in text
    assert HOSTILE not in text
