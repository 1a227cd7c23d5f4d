"""HTML fragments that the sections of the page share."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from html import escape

from imageproof.report.status import LOOKS
from imageproof.report.text import clean


def text(value: object) -> str:
    """Return a value as text that shows literally in HTML."""
    return escape(clean(str(value)))


def code(value: object) -> str:
    """Return a value as literal text in a monospaced font."""
    return f"<code>{text(value)}</code>"


def prose(value: str) -> str:
    """Return a sentence as HTML, with the words between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", text(value))


def css_class(status: str) -> str:
    """Return the CSS class of a status."""
    return status.replace(" ", "-")


def badge(status: str) -> str:
    """Return the glyph of a status as a coloured badge, which screen readers skip."""
    return f'<span class="badge {css_class(status)}" aria-hidden="true">{glyph(status)}</span>'


def glyph(status: str) -> str:
    """Return the glyph of a status; for `not run` an en dash, as wide as the others."""
    return "\N{EN DASH}" if status == "not run" else LOOKS[status].glyph


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    number_columns: Collection[int],
) -> str:
    """Return a table; its first column is the header of its rows.

    Args:
        caption: Text for screen readers only.
        heads: Texts of the column headers.
        rows: Cells as HTML.
        number_columns: Indices of the columns to align to the right.
    """
    classes = [' class="number"' if at in number_columns else "" for at in range(len(heads))]
    columns = zip(classes, heads, strict=True)
    head = "".join(f'<th scope="col"{class_}>{text(name)}</th>' for class_, name in columns)
    body = "\n".join(_row(classes, cells) for cells in rows)
    return (
        f'<div class="wide"><table><caption class="unseen">{text(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(classes: Sequence[str], cells: Sequence[str]) -> str:
    (head_class, head), *others = zip(classes, cells, strict=True)
    columns = "".join(f"<td{class_}>{cell}</td>" for class_, cell in others)
    return f'<tr><th scope="row"{head_class}>{head}</th>{columns}</tr>'
