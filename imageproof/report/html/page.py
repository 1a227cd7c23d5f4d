"""The page: head, verdict, sections.

It loads nothing, and its Content-Security-Policy allows only its own style and script, by their
hashes: text of an image that slipped through the escaping could still do nothing.
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
from imageproof.report.html.results import not_run, open_results, passes
from imageproof.report.status import counts, headline

if TYPE_CHECKING:
    from imageproof.verify.judge import Verdict

FOLDER = Path(__file__).parent
# The section that each number of the head links to, worst status first.
SECTIONS = {
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
        *open_results(verdict),
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
    status = "pass" if verdict.passes else "fail"
    line = headline(verdict)
    yield f'<header class="{status}"><p class="product">imageproof</p>'
    yield f"<h1>{badge(status)}{text(line[0].upper() + line[1:])}</h1>"
    yield '<nav aria-label="Contents"><ul>'
    numbers = counts(verdict)
    for name, section in SECTIONS.items():
        if numbers[name]:
            yield f'<li><a href="#{section}">{badge(name)}<b>{numbers[name]}</b> {name}</a></li>'
    yield '<li class="jump"><a href="#checks">Checks</a></li>'
    if any(subject.image or subject.containers for subject in verdict.subjects):
        yield '<li class="jump"><a href="#images">Images</a></li>'
    yield "</ul></nav></header>"
