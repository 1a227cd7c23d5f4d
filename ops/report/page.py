"""The verdict as one page that needs nothing else: no network, no other file, no permission.

Its Content-Security-Policy allows its own style and script, by their hashes, and nothing else, so
that even text that slipped through the escaping could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ops.report.document import STATUSES, counts
from ops.report.markdown import growth
from ops.report.table import MARKS, WORST_FIRST, count, places
from ops.report.text import clean
from ops.report.tree import tree

if TYPE_CHECKING:
    from ops.facts.image import Layer
    from ops.verify import Result, Subject, Verdict

HERE = Path(__file__).parent


def as_html(verdict: Verdict) -> str:
    """Verdicts with a filter, where the bytes of each image are, and what runs of it."""
    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    body = "\n".join((*_head(verdict), *_results(verdict), *_images(verdict.subjects)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{'holds' if verdict.holds else 'falls short'}: inv verify</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    """As CSP Level 3 writes the hash of an inline element."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(text: object) -> str:
    return escape(clean(str(text)))


def _head(verdict: Verdict) -> Iterator[str]:
    said = ("holds", "✓ verify holds") if verdict.holds else ("falls", "✗ verify falls short")
    yield f'<h1 class="{said[0]}">{said[1]}</h1>'
    yield f"<p>{_shown(count(verdict))}</p>"


def _results(verdict: Verdict) -> Iterator[str]:
    yield '<h2 id="results">Results</h2>'
    yield '<form class="filter" role="search" aria-label="Filter of the results">'
    for status in STATUSES:
        number = counts(verdict)[status]
        folded = status == "not run" or (status == "pass" and not verdict.holds)
        ticked = "" if folded else " checked"
        yield (
            f'<label><input type="checkbox" value="{status}"{ticked}> '
            f"{MARKS[status][0]} {status} ({number})</label>"
        )
    yield '<input type="search" aria-label="Words" placeholder="words">'
    yield '<output id="shown" class="dim"></output></form>'
    for subject in dict.fromkeys(result.subject for result in verdict.results):
        yield f"<h3>{_shown(subject)}</h3>"
        results = [result for result in verdict.results if result.subject == subject]
        for result in sorted(results, key=lambda r: (WORST_FIRST.index(r.status), r.check.id)):
            yield from _result(result)


def _result(result: Result) -> Iterator[str]:
    mark, kind = MARKS[result.status][0], result.status.replace(" ", "-")
    unfolded = " open" if result.fails or result.status == "warning" else ""
    yield f'<details class="result" data-status="{result.status}"{unfolded}>'
    yield (
        f'<summary><span class="status {kind}">{mark} {result.status}</span> '
        f"<code>{_shown(result.check.id)}</code> {_shown(result.check.title)}</summary>"
    )
    if result.findings:
        yield "<ul>"
        for finding in result.findings:
            where = "".join(f'<br><span class="dim">{_shown(p)}</span>' for p in places(finding))
            yield f"<li>{_shown(finding.message)}{where}</li>"
        yield "</ul>"
    if result.reason:
        yield f"<p>{_shown(result.reason)}</p>"
    check = result.check
    yield f'<p class="dim">{_shown(check.why)}</p><p>→ {_shown(check.mend)}</p>'
    yield f'<p class="dim">{_shown(check.reference)}</p></details>'


def _images(subjects: Sequence[Subject]) -> Iterator[str]:
    for number, subject in enumerate(subjects):
        facts = subject.image
        if facts is None:
            continue
        name, budget = _shown(subject.name), int(subject.terms.size)
        since = f", {growth(subject)} since its size was recorded" if growth(subject) else ""
        yield f'<section aria-label="{name}"><h2>{name}</h2>'
        yield (
            f"<p>{_shown(subject.reference)}: {facts.size / 1e6:.1f} MB in layers, "
            f"{facts.size / budget:.0%} of its budget of {budget / 1e6:.0f} MB{since}</p>"
        )
        yield from _containers(subject)
        # In a script element only `</` and `<!--` mean something; no `<` is left in the JSON.
        data = json.dumps(tree(facts), ensure_ascii=True).replace("<", "\\u003c")
        yield f'<script type="application/json" id="tree{number}">{data}</script>'
        yield f'<nav class="trail" aria-label="Where in the bytes of {name}"></nav>'
        yield f'<div class="map" data-tree="tree{number}" role="group" aria-label="Bytes"></div>'
        yield from _layers(facts.layers)
        yield "</section>"


def _containers(subject: Subject) -> Iterator[str]:
    if not subject.containers:
        return
    yield '<div class="wide"><table><thead><tr><th>container</th><th>state</th><th>health</th>'
    yield '<th class="number">restarts</th><th class="number">processes</th></tr></thead><tbody>'
    for container in subject.containers:
        processes = "?" if container.processes is None else len(container.processes)
        yield (
            f"<tr><td>{_shown(container.name)}</td><td>{_shown(container.status)}</td>"
            f"<td>{_shown(container.health or '-')}</td>"
            f'<td class="number">{container.restarts}</td><td class="number">{processes}</td></tr>'
        )
    yield "</tbody></table></div>"


def _layers(layers: Sequence[Layer]) -> Iterator[str]:
    yield '<div class="wide"><table><thead><tr><th class="number">MB</th><th>layer</th></tr>'
    yield "</thead><tbody>"
    for layer in layers:
        size, made = f"{layer.size / 1e6:.1f}", _shown(layer.instruction)
        yield f'<tr><td class="number">{size}</td><td><code>{made}</code></td></tr>'
    yield "</tbody></table></div>"
