"""ops.report.verdict: the same verdict for people and for machines, with nothing lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from ops.checks import Check, Finding
from ops.errors import UsageError
from ops.report.verdict import FORMS, WORST_FIRST, as_json, count, known, render, table
from ops.verify import Result, Status, Subject, Verdict
from tests.unit.ops.samples import image, terms

MARKUP = "[red]x[/red] [/nothing] [bold"
FINDING = Finding(
    f"a fault: {MARKUP}",
    layer="sha256:" + "a" * 64,
    instruction="RUN echo [green]y[/green]",
    file="/usr/[blue]bin",
    measured=12,
    bound=10,
)


def _result(status: Status, *findings: Finding, name: str = "", **changes: Any) -> Result:
    id_ = name or f"made.{status.replace(' ', '-')}"
    check = Check(id_, f"Title of {status}", "Why", f"Mend {id_}", "ref", "image", lambda *_: ())
    return Result(
        check, changes.get("subject", "shop"), status, findings, changes.get("reason", "")
    )


def _verdict(*results: Result) -> Verdict:
    return Verdict(results, (Subject("shop", "shop:test", terms(), image()),))


ALL = _verdict(
    _result("pass"),
    _result("fail", FINDING, Finding("another fault")),
    _result("unknown", Finding("nobody looked", unknown=True)),
    _result("waived", Finding("known fault"), reason=f"because of {MARKUP}"),
    _result("not run", reason="with --static"),
    _result("fail", Finding("STALE"), name="env.made", subject="project"),
)


def _shown(verdict: Verdict) -> str:
    out = io.StringIO()
    Console(file=out, width=120, highlight=False, soft_wrap=True).print(table(verdict))
    return out.getvalue()


# --- JSON


def test_the_json_holds_every_result_with_every_finding():
    document = json.loads(as_json(ALL))
    assert document["holds"] is False
    assert document["schema"] == 1
    assert [
        (r["check"], r["subject"], r["status"], len(r["findings"])) for r in document["results"]
    ] == [(r.check.id, r.subject, r.status, len(r.findings)) for r in ALL.results]
    assert document["results"][1]["findings"][0] == {
        "message": FINDING.message,
        "layer": FINDING.layer,
        "instruction": FINDING.instruction,
        "file": FINDING.file,
        "measured": 12,
        "bound": 10,
        "unknown": False,
    }
    assert document["results"][2]["findings"][0]["unknown"] is True
    assert [r["reason"] for r in document["results"]][3:5] == [
        f"because of {MARKUP}",
        "with --static",
    ]


def test_the_json_describes_each_image():
    shop = json.loads(as_json(ALL))["images"]["shop"]
    facts = image()
    assert (shop["reference"], shop["id"]) == ("shop:test", facts.identity)
    assert shop["layer_bytes"] == facts.size == sum(x["bytes"] for x in shop["layers"])
    assert shop["layers"][0]["instruction"] == "COPY a /"
    assert shop["base"] == "base.invalid/python:3.11"


def test_the_same_verdict_gives_the_same_bytes():
    again = Verdict(tuple(ALL.results), (Subject("shop", "shop:test", terms(), image()),))
    assert as_json(ALL) == as_json(again)


def test_labels_in_another_order_change_nothing():
    labels = dict(reversed(image().labels.items()))
    other = Verdict(ALL.results, (Subject("shop", "shop:test", terms(), image(labels=labels)),))
    assert as_json(ALL) == as_json(other)


def test_a_subject_whose_image_was_not_read_is_left_out():
    verdict = Verdict((), (Subject("shop", "shop:test", terms()),))
    assert json.loads(as_json(verdict))["images"] == {}


def test_a_verdict_of_nothing_does_not_hold():
    verdict = Verdict((), ())
    assert json.loads(as_json(verdict))["holds"] is False
    assert count(verdict) == "nothing was looked at"


# --- the table


def test_what_falls_short_is_shown_with_its_mend_and_what_passes_without():
    shown = _shown(ALL)
    assert "→ Mend made.fail" in shown
    assert "→ Mend made.unknown" in shown
    assert "→ Mend env.made" in shown
    for status in ("pass", "waived", "not-run"):
        assert f"Mend made.{status}" not in shown
        assert f"made.{status}" in shown


@pytest.mark.parametrize(
    "text",
    [
        f"a fault: {MARKUP}",
        "another fault",
        "nobody looked",
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
    assert text in _shown(ALL)


def test_the_worst_is_shown_first():
    shown = _shown(ALL)
    places = [shown.index(f"made.{status.replace(' ', '-')} ") for status in WORST_FIRST]
    assert places == sorted(places)


def test_a_layer_is_named_where_no_instruction_is_known():
    finding = Finding("x", layer="sha256:1")
    assert "layer: sha256:1" in _shown(_verdict(_result("fail", finding)))


def test_the_ids_stand_in_one_column():
    lines = [line for line in _shown(ALL).splitlines() if " made." in line and "Mend" not in line]
    assert len(lines) == 5
    assert len({line.index("made.") for line in lines}) == 1


def test_the_count_names_every_status_that_there_is():
    assert count(ALL) == "1 pass, 1 not run, 1 waived, 1 unknown, 2 fail"
    assert count(_verdict(_result("pass"))) == "1 pass"


# --- forms


@pytest.mark.parametrize("form", ["nope", "", "JSON", "table "])
def test_a_format_that_there_is_not_is_refused_and_the_others_are_named(form, tmp_path):
    for refuse in (known, lambda form: render(ALL, form, None)):
        with pytest.raises(UsageError) as caught:
            refuse(form)
        assert caught.value.status == 2
        assert ", ".join(sorted(FORMS)) in (caught.value.hint or "")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_format_is_known_and_is_written_to_a_file_as_it_is(form, tmp_path):
    known(form)
    render(ALL, form, str(tmp_path / "out"))
    text = (tmp_path / "out").read_text()
    assert text.rstrip("\n") == FORMS[form](ALL).rstrip("\n")
    assert text.endswith("\n")
    assert "\x1b" not in text
    for result in ALL.results:
        assert result.check.id in text
        for finding in result.findings:
            assert finding.message in text


def test_a_report_that_cannot_be_written_is_a_wrong_command_line(tmp_path):
    with pytest.raises(UsageError, match="No such file") as caught:
        render(ALL, "json", str(tmp_path / "nowhere/verdict.json"))
    assert caught.value.status == 2
