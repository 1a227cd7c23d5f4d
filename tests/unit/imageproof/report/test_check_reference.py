"""The reference of all checks, docs/checks.md."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from imageproof import console
from imageproof.checks import REGISTRY
from imageproof.errors import UsageError
from imageproof.report.check_reference import COMMAND, FILE, markdown, show
from tests.support.sample_facts import ROOT

CHECK = REGISTRY["compose.pinned"]


def _documented() -> set[str]:
    return set(re.findall(r"^### (.+)$", (ROOT / FILE).read_text(), re.MULTILINE))


def test_page_in_the_repository_is_current():
    checks = {id_: check for id_, check in REGISTRY.items() if id_ in _documented()}
    assert (ROOT / FILE).read_text() == markdown(checks), f"`{COMMAND}` updates it"


def test_page_in_the_repository_has_every_check():
    if missing := sorted(REGISTRY.keys() - _documented()):
        pytest.skip(f"{FILE} does not have {', '.join(missing)} yet: `{COMMAND}` adds them")


def test_page_has_each_check_once_with_all_its_texts():
    page = markdown()
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == sorted(REGISTRY)
    plain = re.sub(r"\\(.)|<(https?://[^>]+)>", r"\1\2", page)
    for check in REGISTRY.values():
        for text in (check.title, check.why, check.remedy, check.reference):
            assert text in plain


def test_link_has_the_anchor_that_github_gives_the_heading():
    page = markdown({"run.no-new-privileges": replace(CHECK, id="run.no-new-privileges")})
    assert "[run.no-new-privileges](#runno-new-privileges)" in page
    assert "\n### run.no-new-privileges\n" in page


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<b> and __init__", r"\<b\> and \_\_init\_\_"),
        ("[tool.imageproof.images.*] x", r"\[tool.imageproof.images.\*\] x"),
        ("`a*b_c` and *", r"`a*b_c` and \*"),
        ("https://x.invalid/a_b#c; more", "<https://x.invalid/a_b#c>; more"),
    ],
)
def test_text_is_escaped_for_markdown(text, escaped):
    assert f"- Why: {escaped}\n" in markdown({CHECK.id: replace(CHECK, why=text)})


def test_order_does_not_depend_on_registration():
    assert markdown(dict(reversed(REGISTRY.items()))) == markdown()


def test_show_prints_one_check_or_all(capsys, monkeypatch):
    monkeypatch.setattr(console, "results", lambda: SimpleNamespace(file=sys.stdout))
    show("all")
    assert capsys.readouterr().out == markdown()
    show("compose.pinned")
    assert capsys.readouterr().out.startswith(f"compose.pinned: {CHECK.title}\n")
    with pytest.raises(UsageError, match="no check"):
        show("every")
