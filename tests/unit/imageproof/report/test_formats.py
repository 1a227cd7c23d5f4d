"""Formats of a verdict: JSON with its schema, the table, and rules that hold for all."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import jsonschema
import pytest
from rich.console import Console

from imageproof.checks import Finding
from imageproof.errors import UsageError
from imageproof.report.document import SCHEMA, as_json
from imageproof.report.formats import FORMATS, render, require_report_format
from imageproof.report.status import WORST_FIRST, count_line, headline
from imageproof.report.table import table
from imageproof.report.text import comparison
from imageproof.verify.judge import Subject, Verdict
from tests.support.sample_facts import ROOT, image, service_contract
from tests.support.verdicts import FINDING, HOSTILE_SAMPLE, MARKUP, SAMPLE, result, verdict


def _table(sample: Verdict) -> str:
    out = io.StringIO()
    Console(file=out, width=120, highlight=False, soft_wrap=True).print(table(sample))
    return out.getvalue()


# --- JSON


def test_json_has_every_result_and_finding():
    document = json.loads(as_json(SAMPLE))
    assert document["passes"] is False
    assert document["schema"] == SCHEMA
    assert [
        (r["check"], r["subject"], r["status"], len(r["findings"])) for r in document["results"]
    ] == [(r.check.id, r.subject, r.status, len(r.findings)) for r in SAMPLE.results]
    assert document["results"][1]["findings"][0] == {
        "message": FINDING.message,
        "layer": FINDING.layer,
        "instruction": FINDING.instruction,
        "file": FINDING.file,
        "measured": 12,
        "bound": 10,
        "unknown": False,
        "warning": False,
    }
    assert document["results"][2]["findings"][0]["unknown"] is True
    assert [r["reason"] for r in document["results"]][4:6] == [
        f"because of {MARKUP}",
        "with --static",
    ]


def test_json_describes_each_image():
    shop = json.loads(as_json(SAMPLE))["images"]["shop"]
    facts = image()
    assert (shop["reference"], shop["id"]) == ("shop:test", facts.identity)
    assert shop["layer_bytes"] == facts.size == sum(x["bytes"] for x in shop["layers"])
    assert shop["layers"][0]["instruction"] == "COPY a /"
    assert shop["base"] == "base.invalid/python:3.11"


def test_equal_verdicts_give_equal_json():
    again = Verdict(
        tuple(SAMPLE.results), (Subject("shop", "shop:test", service_contract(), image()),)
    )
    assert as_json(SAMPLE) == as_json(again)


def test_json_does_not_depend_on_the_order_of_labels():
    labels = dict(reversed(image().labels.items()))
    other = Verdict(
        SAMPLE.results,
        (Subject("shop", "shop:test", service_contract(), image(labels=labels)),),
    )
    assert as_json(SAMPLE) == as_json(other)


def test_json_omits_images_that_were_not_read():
    sample = Verdict((), (Subject("shop", "shop:test", service_contract()),))
    assert json.loads(as_json(sample))["images"] == {}


def test_verdict_without_results_does_not_pass():
    sample = Verdict((), ())
    assert json.loads(as_json(sample))["passes"] is False
    assert (headline(sample), count_line(sample)) == ("no check ran", "no check ran")


# --- the table


def test_table_shows_remedies_of_violations_only():
    shown = _table(SAMPLE)
    assert "→ Fix made.fail" in shown
    assert "→ Remove the reason that the finding names" in shown
    assert "→ Fix made.unknown" not in shown
    assert "→ Fix env.made" in shown
    assert "→ Fix made.warning" in shown
    for status in ("pass", "waived", "not-run"):
        assert f"Fix made.{status}" not in shown
        assert f"made.{status}" in shown


@pytest.mark.parametrize(
    "text",
    [
        f"a fault: {MARKUP}",
        "another fault",
        "no probe",
        "known fault",
        "STALE",
        f"because of {MARKUP}",
        "with --static",
        "file: /usr/[blue]bin",
        "made by: RUN echo [green]y[/green]",
        "shop  shop:test  1.0 MB in layers",
    ],
)
def test_table_shows_texts_literally(text):
    assert text in _table(SAMPLE)


def test_table_shows_the_worst_results_first():
    shown = _table(SAMPLE)
    places = [shown.index(f"made.{status.replace(' ', '-')} ") for status in WORST_FIRST]
    assert places == sorted(places)


def test_table_names_the_layer_if_no_instruction_is_known():
    finding = Finding("x", layer="sha256:1")
    assert "layer: sha256:1" in _table(verdict(result("fail", finding)))


def test_table_aligns_check_ids():
    lines = [
        line for line in _table(SAMPLE).splitlines() if " made." in line and "Fix " not in line
    ]
    assert len(lines) == 6
    assert len({line.index("made.") for line in lines}) == 1


def test_count_line_names_every_status_that_occurs():
    assert count_line(SAMPLE) == "1 pass, 1 not run, 1 waived, 1 warning, 1 unknown, 2 fail"
    assert count_line(verdict(result("pass"))) == "1 pass"


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([result("pass")], "passes"),
        ([result("fail")], "1 violation"),
        ([result("fail"), result("fail"), result("unknown")], "2 violations, 1 unknown"),
        ([result("unknown")], "1 unknown"),
    ],
)
def test_headline_counts_violations(results, text):
    assert headline(verdict(*results)) == text


# --- all formats


@pytest.mark.parametrize("form", ["nope", "", "JSON", "table "])
def test_unknown_format_is_refused_with_a_list_of_formats(form):
    for refuse in (require_report_format, lambda form: render(SAMPLE, form, None)):
        with pytest.raises(UsageError) as caught:
            refuse(form)
        assert caught.value.status == 2
        assert ", ".join(sorted(FORMATS)) in (caught.value.hint or "")


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_can_be_written_to_a_file(form, tmp_path):
    require_report_format(form)
    render(SAMPLE, form, str(tmp_path / "out"))
    text = (tmp_path / "out").read_text()
    assert text.rstrip("\n") == FORMATS[form](SAMPLE).rstrip("\n")
    assert text.endswith("\n")


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_names_failed_checks_and_their_findings(form):
    text = FORMATS[form](SAMPLE).replace("\\", "")
    for item in SAMPLE.results:
        if item.status not in ("pass", "not run"):
            assert item.check.id in text
            for finding in item.findings:
                assert finding.message in text


@pytest.mark.parametrize("form", ["html", "junit", "markdown", "sarif", "table"])
def test_expected_stands_beside_actual(form):
    sample = verdict(result("fail", Finding("too large", measured=1_500_000, bound=1_000_000)))
    plain = re.sub(r"<[^>]+>|\*\*|\\|\s", "", FORMATS[form](sample)).lower()
    assert re.search(r"expected:?1\.0mbactual:?1\.5mb", plain)


@pytest.mark.parametrize(
    ("finding", "values"),
    [
        (Finding("x", measured=12, bound=10), ("10", "12")),
        (Finding("x", measured="0:0", bound="1:1"), ("1:1", "0:0")),
        (Finding("x", measured="", bound="1:1"), ("1:1", "(empty)")),
        (Finding("x", measured=8000, bound=0), ("0", "8000")),
        (Finding("x", measured=2_000_000, bound=500_000), ("0.5 MB", "2.0 MB")),
        (Finding("x", measured=2_000_001, bound=2_000_000), ("2,000,000 bytes", "2,000,001 bytes")),
        (Finding("x", measured=12), None),
        (Finding("x", bound=12), None),
    ],
)
def test_comparison_shows_bytes_in_mb_unless_they_look_equal(finding, values):
    assert comparison(finding) == values


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_no_format_contains_control_characters(form):
    text = FORMATS[form](HOSTILE_SAMPLE)
    text.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ufffe]", text)


@pytest.fixture(scope="module", params=["1", "2"])
def reports_of_another_process(request) -> dict[str, str]:
    """SAMPLE in every format, made by a process with another hash seed."""
    code = (
        "from imageproof.report.formats import FORMATS; from tests.support.verdicts import SAMPLE;"
        "import json; print(json.dumps({form: FORMATS[form](SAMPLE) for form in FORMATS}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": request.param},
        capture_output=True,
        check=True,
    )
    reports: dict[str, str] = json.loads(done.stdout)
    return reports


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_report_does_not_depend_on_the_hash_seed(form, reports_of_another_process):
    assert reports_of_another_process[form] == FORMATS[form](SAMPLE)


def test_table_lists_checks_not_run_for_one_reason_on_one_line():
    sample = verdict(*(result("not run", name=f"made.{n}", reason="no stack") for n in "cab"))
    assert "- not run  made.a, made.b, made.c  no stack" in _table(sample)


# --- the published schema

SCHEMA_FILE = json.loads((ROOT / "docs/report.schema.json").read_text())


@pytest.mark.parametrize("sample", [SAMPLE, HOSTILE_SAMPLE, Verdict((), ())])
def test_json_is_valid_by_the_published_schema(sample):
    jsonschema.Draft202012Validator.check_schema(SCHEMA_FILE)
    jsonschema.Draft202012Validator(SCHEMA_FILE).validate(json.loads(as_json(sample)))
    assert SCHEMA_FILE["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("passes"),
        lambda d: d.update(more=1),
        lambda d: d["results"][0].update(status="fine"),
        lambda d: d["results"][1]["findings"][0].pop("message"),
        lambda d: d["images"]["shop"]["layers"][0].update(diff_id="x"),
        lambda d: d["checks"].update({"no id": d["checks"]["made.pass"]}),
        lambda d: d["counts"].update(fine=1),
    ],
)
def test_schema_rejects_a_changed_document(spoil):
    document = json.loads(as_json(SAMPLE))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA_FILE).validate(document)


def test_unwritable_output_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file") as caught:
        render(SAMPLE, "json", str(tmp_path / "nowhere/verdict.json"))
    assert caught.value.status == 2
