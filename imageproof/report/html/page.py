"""The HTML page: the verdict, then its sections.

It loads nothing. Its Content-Security-Policy allows only its own style and script, by their hashes:
even if text of an image were not escaped, it could not run a script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.report.html.images import images
from imageproof.report.html.markup import badge, text
from imageproof.report.html.matrix import matrix
from imageproof.report.html.results import not_run, passes, unfolded_results
from imageproof.report.status import counts, headline

if TYPE_CHECKING:
    from imageproof.verify.judge import Verdict

FOLDER = Path(__file__).parent
# The section that the head links to from the number of each status, worst first.
SECTION_BY_STATUS = {
    "fail": "violations",
    "unknown": "violations",
    "warning": "warnings",
    "waived": "waived",
    "pass": "passes",
    "not run": "not-run",
}


def as_html(verdict: Verdict) -> str:
    """Return the verdict as a page: violations, matrix of checks, images, then passes folded."""
    style, script = ((FOLDER / name).read_text() for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_csp_hash(style)}'; "
        f"script-src '{_csp_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    sections = (
        *_head(verdict),
        "<main>",
        *unfolded_results(verdict),
        *matrix(verdict),
        *images(verdict),
        *passes(verdict),
        *not_run(verdict),
        "</main>",
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(headline(verdict))} - imageproof</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n" + "\n".join(sections) + "\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _csp_hash(source: str) -> str:
    """Return the hash of an inline element, as in CSP Level 3, 2.3.1."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _head(verdict: Verdict) -> Iterator[str]:
    overall = "pass" if verdict.passes else "fail"
    title = headline(verdict)
    yield f'<header class="{overall}"><p class="product">imageproof</p>'
    yield f"<h1>{badge(overall)}{text(title[0].upper() + title[1:])}</h1>"
    yield '<nav aria-label="Contents"><ul>'
    numbers = counts(verdict)
    for status, section in SECTION_BY_STATUS.items():
        if number := numbers[status]:
            yield f'<li><a href="#{section}">{badge(status)}<b>{number}</b> {status}</a></li>'
    yield '<li class="jump"><a href="#checks">Checks</a></li>'
    if any(subject.image or subject.containers for subject in verdict.subjects):
        yield '<li class="jump"><a href="#images">Images</a></li>'
    yield "</ul></nav></header>"
