"""Tests of text from other programs: empty lines and escape sequences are removed."""

from __future__ import annotations

import pytest

from imageproof.terminal_text import clean_lines, strip_escapes


@pytest.mark.parametrize(
    ("text", "lines"),
    [(None, []), ("", []), ("\n \n", []), ("a\r\n\n b \n", ["a", " b"])],
)
def test_empty_lines_are_left_out(text, lines):
    assert clean_lines(text) == lines


@pytest.mark.parametrize(
    "line", ["\x1b[31mred\x1b[0m", "red\x1b[2K\x07", "\x1bMred", "r\x00ed\x7f \t"]
)
def test_escape_sequences_and_control_characters_are_removed(line):
    assert strip_escapes(line) == "red"
