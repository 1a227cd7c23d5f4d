"""imageproof.report: the same verdict for people and for machines, with nothing lost."""

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
from imageproof.report.formats import FORMS, known, render
from imageproof.report.table import WORST_FIRST, count, table
from imageproof.verify.judge import Subject, Verdict
from tests.support.sample_facts import ROOT, image, service_contract
from tests.support.verdicts import FINDING, HOSTILE_SAMPLE, MARKUP, SAMPLE, result, verdict


def _shown(made: Verdict) -> str:
    out = io.StringIO()
    Console(file=out, width=120, highlight=False, soft_wrap=True).print(table(made))
    return out.getvalue()


# --- JSON


def test_the_json_holds_every_result_with_every_finding():
    document = json.loads(as_json(SAMPLE))
    assert document["holds"] is False
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


def test_the_json_describes_each_image():
    shop = json.loads(as_json(SAMPLE))["images"]["shop"]
    facts = image()
    assert (shop["reference"], shop["id"]) == ("shop:test", facts.identity)
    assert shop["layer_bytes"] == facts.size == sum(x["bytes"] for x in shop["layers"])
    assert shop["layers"][0]["instruction"] == "COPY a /"
    assert shop["base"] == "base.invalid/python:3.11"


def test_the_same_verdict_gives_the_same_bytes():
    again = Verdict(
        tuple(SAMPLE.results), (Subject("shop", "shop:test", service_contract(), image()),)
    )
    assert as_json(SAMPLE) == as_json(again)


def test_labels_in_another_order_change_nothing():
    labels = dict(reversed(image().labels.items()))
    other = Verdict(
        SAMPLE.results,
        (Subject("shop", "shop:test", service_contract(), image(labels=labels)),),
    )
    assert as_json(SAMPLE) == as_json(other)


def test_a_subject_whose_image_was_not_read_is_left_out():
    made = Verdict((), (Subject("shop", "shop:test", service_contract()),))
    assert json.loads(as_json(made))["images"] == {}


def test_a_verdict_of_nothing_does_not_hold():
    made = Verdict((), ())
    assert json.loads(as_json(made))["holds"] is False
    assert count(made) == "nothing was looked at"


# --- the table


def test_what_falls_short_is_shown_with_its_mend_and_what_passes_without():
    shown = _shown(SAMPLE)
    assert "→ Fix made.fail" in shown
    assert "→ Fix made.unknown" in shown
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
def test_every_text_stands_in_the_table_letter_for_letter(text):
    assert text in _shown(SAMPLE)


def test_the_worst_is_shown_first():
    shown = _shown(SAMPLE)
    places = [shown.index(f"made.{status.replace(' ', '-')} ") for status in WORST_FIRST]
    assert places == sorted(places)


def test_a_layer_is_named_where_no_instruction_is_known():
    finding = Finding("x", layer="sha256:1")
    assert "layer: sha256:1" in _shown(verdict(result("fail", finding)))


def test_the_ids_stand_in_one_column():
    lines = [
        line for line in _shown(SAMPLE).splitlines() if " made." in line and "Fix " not in line
    ]
    assert len(lines) == 6
    assert len({line.index("made.") for line in lines}) == 1


def test_the_count_names_every_status_that_there_is():
    assert count(SAMPLE) == "1 pass, 1 not run, 1 waived, 1 warning, 1 unknown, 2 fail"
    assert count(verdict(result("pass"))) == "1 pass"


# --- forms


@pytest.mark.parametrize("form", ["nope", "", "JSON", "table "])
def test_a_format_that_there_is_not_is_refused_and_the_others_are_named(form, tmp_path):
    for refuse in (known, lambda form: render(SAMPLE, form, None)):
        with pytest.raises(UsageError) as caught:
            refuse(form)
        assert caught.value.status == 2
        assert ", ".join(sorted(FORMS)) in (caught.value.hint or "")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_format_is_known_and_is_written_to_a_file_as_it_is(form, tmp_path):
    known(form)
    render(SAMPLE, form, str(tmp_path / "out"))
    text = (tmp_path / "out").read_text()
    assert text.rstrip("\n") == FORMS[form](SAMPLE).rstrip("\n")
    assert text.endswith("\n")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_format_names_each_check_that_does_not_pass_and_its_findings(form):
    text = FORMS[form](SAMPLE).replace("\\", "")
    for made in SAMPLE.results:
        if made.status not in ("pass", "not run"):
            assert made.check.id in text
            for finding in made.findings:
                assert finding.message in text


@pytest.mark.parametrize("form", sorted(FORMS))
def test_nothing_of_an_image_steers_a_terminal_or_breaks_a_format(form):
    text = FORMS[form](HOSTILE_SAMPLE)
    text.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ufffe]", text)


@pytest.fixture(scope="module", params=["1", "2"])
def elsewhere(request) -> dict[str, str]:
    """SAMPLE in every format, as another process makes it, with another order of Python's sets."""
    code = (
        "from imageproof.report.formats import FORMS; from tests.support.verdicts import SAMPLE;"
        "import json; print(json.dumps({form: FORMS[form](SAMPLE) for form in FORMS}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": request.param},
        capture_output=True,
        check=True,
    )
    made: dict[str, str] = json.loads(said.stdout)
    return made


@pytest.mark.parametrize("form", sorted(FORMS))
def test_the_same_facts_give_the_same_bytes_in_another_process(form, elsewhere):
    assert elsewhere[form] == FORMS[form](SAMPLE)


def test_what_was_not_run_for_one_reason_takes_one_line():
    made = verdict(*(result("not run", name=f"made.{n}", reason="no stack") for n in "cab"))
    assert "- not run  made.a, made.b, made.c  no stack" in _shown(made)


# --- the published schema

SCHEMA_FILE = json.loads((ROOT / "docs/verdict.schema.json").read_text())


@pytest.mark.parametrize("made", [SAMPLE, HOSTILE_SAMPLE, Verdict((), ())])
def test_the_json_is_what_its_schema_says(made):
    jsonschema.Draft202012Validator.check_schema(SCHEMA_FILE)
    jsonschema.Draft202012Validator(SCHEMA_FILE).validate(json.loads(as_json(made)))
    assert SCHEMA_FILE["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("holds"),
        lambda d: d.update(more=1),
        lambda d: d["results"][0].update(status="fine"),
        lambda d: d["results"][1]["findings"][0].pop("message"),
        lambda d: d["images"]["shop"]["layers"][0].update(diff_id="x"),
        lambda d: d["checks"].update({"no id": d["checks"]["made.pass"]}),
        lambda d: d["counts"].update(fine=1),
    ],
)
def test_a_document_of_another_form_is_none(spoil):
    document = json.loads(as_json(SAMPLE))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA_FILE).validate(document)


def test_a_report_that_cannot_be_written_is_a_wrong_command_line(tmp_path):
    with pytest.raises(UsageError, match="No such file") as caught:
        render(SAMPLE, "json", str(tmp_path / "nowhere/verdict.json"))
    assert caught.value.status == 2
