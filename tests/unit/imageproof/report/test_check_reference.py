"""imageproof.report.check_reference: docs/checks.md says what the checks say."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import pytest

from imageproof import console
from imageproof.checks import REGISTRY
from imageproof.checks.check import ImageNeeds, ProjectNeeds
from imageproof.errors import UsageError
from imageproof.report.check_reference import COMMAND, FILE, NEEDS, markdown, show
from tests.support.sample_facts import ROOT

CHECK = REGISTRY["compose.pinned"]


def test_the_page_is_what_the_checks_say():
    made = markdown()
    assert (ROOT / FILE).read_text() == made, f"`{COMMAND}` makes it anew"


def test_every_check_is_there_once_with_all_that_it_says():
    made = markdown()
    assert re.findall(r"^### (.+)$", made, re.MULTILINE) == sorted(REGISTRY)
    plain = re.sub(r"\\(.)|<(https?://[^>]+)>", r"\1\2", made)
    for check in REGISTRY.values():
        for text in (check.title, check.why, check.remedy, check.reference):
            assert text in plain


def test_each_kind_of_facts_is_explained():
    assert list(NEEDS) == [*get_args(ImageNeeds), *get_args(ProjectNeeds)]


def test_links_lead_to_headings_as_github_names_them():
    made = markdown({"run.no-new-privileges": replace(CHECK, id="run.no-new-privileges")})
    assert "[run.no-new-privileges](#runno-new-privileges)" in made
    assert "\n### run.no-new-privileges\n" in made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b> and __init__", r"\<b\> and \_\_init\_\_"),
        ("[tool.imageproof.images.*] x", r"\[tool.imageproof.images.\*\] x"),
        ("`a*b_c` and *", r"`a*b_c` and \*"),
        ("https://x.invalid/a_b#c; more", "<https://x.invalid/a_b#c>; more"),
    ],
)
def test_text_shows_as_it_is_written(text, shown):
    assert f"- Why: {shown}\n" in markdown({CHECK.id: replace(CHECK, why=text)})


def test_the_order_does_not_depend_on_who_registered_first():
    assert markdown(dict(reversed(REGISTRY.items()))) == markdown()


def test_one_check_or_all_are_shown(capsys, monkeypatch):
    monkeypatch.setattr(console, "results", lambda: SimpleNamespace(file=sys.stdout))
    show("all")
    assert capsys.readouterr().out == markdown()
    show("compose.pinned")
    assert capsys.readouterr().out.startswith(f"compose.pinned: {CHECK.title}\n")
    with pytest.raises(UsageError, match="no check"):
        show("every")
