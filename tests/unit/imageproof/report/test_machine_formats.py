"""Formats for CI servers and code hosts: JUnit, SARIF and Markdown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from imageproof.checks import REGISTRY, Finding
from imageproof.report.junit import as_junit
from imageproof.report.markdown import as_markdown, escaped
from imageproof.report.sarif import as_sarif
from tests.support.sample_facts import contract
from tests.support.verdicts import HOSTILE, HOSTILE_SAMPLE, SAMPLE, result, verdict
from tests.unit.imageproof.checks.examples.compose import FAULTS as COMPOSE_FAULTS

# --- JUnit


def _cases(text: str) -> dict[str, ET.Element]:
    root = ET.fromstring(text)  # trusted: made by this project
    return {case.attrib["classname"]: case for case in root.iter("testcase")}


def test_junit_has_a_suite_for_each_subject_and_a_case_for_each_check():
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
def test_junit_case_shows_the_status_of_its_check(case, children):
    assert [child.tag for child in _cases(as_junit(SAMPLE))[f"shop.{case}"]] == children


def test_junit_failure_contains_findings_places_and_remedy():
    (failure,) = _cases(as_junit(SAMPLE))["shop.made.fail"]
    for text in ("another fault", "/usr/[blue]bin", "RUN echo [green]y", "Fix made.fail"):
        assert text in (failure.text or "")


# Attributes and child elements that jenkins-junit.xsd allows; most readers follow it.
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


@pytest.mark.parametrize("sample", [SAMPLE, HOSTILE_SAMPLE])
def test_junit_uses_only_elements_that_readers_know(sample):
    for element in ET.fromstring(as_junit(sample)).iter():
        attributes, within = ALLOWED[element.tag]
        assert set(element.attrib) <= set(attributes.split())
        assert {child.tag for child in element} <= set(within.split())
        for number in ("tests", "failures", "errors", "skipped"):
            assert re.fullmatch(r"\d+", element.attrib.get(number, "0"))


def test_junit_is_well_formed_with_hostile_text():
    assert len(_cases(as_junit(HOSTILE_SAMPLE))) == 5


# --- SARIF


SARIF = jsonschema.Draft4Validator(
    json.loads((Path(__file__).parent / "data/sarif-schema-2.1.0.json").read_text())
)


def _results(sample: Any) -> list[dict[str, Any]]:
    document = json.loads(as_sarif(sample))
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
def test_sarif_schema_rejects_a_changed_document(spoil):
    document = json.loads(as_sarif(SAMPLE))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        SARIF.validate(document)


def test_sarif_rule_has_reason_remedy_and_reference():
    check = replace(SAMPLE.results[1].check, reference="CIS 4.1; https://docs.test/user, and more")
    sample = verdict(replace(SAMPLE.results[1], check=check))
    (rule,) = json.loads(as_sarif(sample))["runs"][0]["tool"]["driver"]["rules"]
    assert rule["helpUri"] == "https://docs.test/user"
    assert rule["fullDescription"]["text"] == "Why"
    assert rule["help"]["text"].startswith("Fix made.fail")
    assert rule["defaultConfiguration"]["level"] == "error"


def test_sarif_has_a_result_for_each_finding():
    assert [(r["ruleId"], r["level"]) for r in _results(SAMPLE)] == [
        ("made.fail", "error"),
        ("made.fail", "error"),
        ("made.unknown", "error"),
        ("made.warning", "warning"),
        ("made.waived", "note"),
        ("env.made", "error"),
    ]


def test_sarif_suppresses_waived_findings_with_their_reason():
    (waived,) = (r for r in _results(SAMPLE) if r["ruleId"] == "made.waived")
    assert waived["suppressions"][0]["justification"].startswith("because of")


def test_sarif_result_has_the_index_of_its_rule():
    rules = json.loads(as_sarif(SAMPLE))["runs"][0]["tool"]["driver"]["rules"]
    for item in _results(SAMPLE):
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]


def test_sarif_fingerprints_are_stable_and_unique():
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


def _line(tmp_path: Path, finding: Finding, name: str) -> tuple[str, int]:
    """Return the place of a finding of the check `name` in a small project."""
    (tmp_path / "Dockerfile.shop").write_text(DOCKERFILE)
    (tmp_path / "compose.yaml").write_text(
        "services:\n  first:\n    depends_on:\n      shop:\n  shop:\n    image: x\n"
        "    environment:\n      - TOKEN=x\n"
    )
    (tmp_path / ".env.example").write_text("# a\nLOG_LEVEL=info\nTOKEN=x\n")
    sample = verdict(
        result("fail", finding, name=name), root=tmp_path, dockerfiles={"shop": "Dockerfile.shop"}
    )
    place = _results(sample)[0]["locations"][0]["physicalLocation"]
    return place["artifactLocation"]["uri"], place["region"]["startLine"]


@pytest.mark.parametrize(
    ("finding", "name", "place"),
    [
        (Finding("x", instruction="COPY /usr/bin/thing /usr/bin/thing"), "fs.setuid", ("D", 5)),
        (Finding("x", instruction="COPY a /a"), "fs.setuid", ("D", 2)),
        (Finding("x"), "user.nonroot", ("D", 9)),
        (Finding("x"), "config.env", ("D", 7)),
        (Finding("x"), "run.nonroot", ("D", 1)),
        (Finding("shop runs as root", file="compose.yaml"), "compose.hardening", ("C", 5)),
        (Finding("shop: init differs", file="compose.yaml"), "stack.parity", ("C", 5)),
        (Finding("the secret TOKEN has a value", file="compose.yaml"), "env.parity", ("C", 8)),
        (Finding("LOG_LEVEL is not read"), "env.parity", ("E", 2)),
        (Finding("the secret TOKEN has a value", file=".env.example"), "env.parity", ("E", 3)),
        (Finding("OTHER is not read"), "env.parity", ("E", 1)),
    ],
)
def test_sarif_result_points_to_the_line_of_its_cause(tmp_path, finding, name, place):
    letter, line = place
    file = {"D": "Dockerfile.shop", "C": "compose.yaml", "E": ".env.example"}[letter]
    assert _line(tmp_path, finding, name) == (file, line)


@pytest.mark.parametrize("id_", ["compose.hardening", "compose.pinned", "compose.exposure"])
def test_sarif_points_to_the_service_of_a_compose_finding(tmp_path, id_):
    facts, _ = COMPOSE_FAULTS[id_][0]
    finding = next(iter(REGISTRY[id_].function(contract(), facts)))
    assert _line(tmp_path, finding, id_) == ("compose.yaml", 5)


def test_sarif_is_valid_with_hostile_text():
    assert len(_results(HOSTILE_SAMPLE)) == 4


# --- Markdown


def test_markdown_begins_with_the_verdict():
    assert as_markdown(SAMPLE).startswith("## ✗ imageproof: 2 violations, 1 unknown\n\n1 pass, ")
    assert as_markdown(verdict(result("pass"))).startswith("## ✓ imageproof: passes\n\n1 pass")


def test_markdown_folds_passes_and_counts_checks_not_run():
    text = as_markdown(SAMPLE)
    assert "<details><summary>1 pass</summary>\n\nmade.pass\n\n</details>" in text
    assert "1 not run: with --static" in text


def test_markdown_rows_have_as_many_cells_as_their_header():
    for sample in (SAMPLE, HOSTILE_SAMPLE):
        for line in as_markdown(sample).splitlines():
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
def test_markdown_escapes_text(text, shown):
    assert escaped(text) == shown


def test_markdown_contains_no_markup_of_hostile_text():
    text = as_markdown(HOSTILE_SAMPLE)
    assert "<script" not in text
    assert "\n# head" not in text
    assert HOSTILE not in text
