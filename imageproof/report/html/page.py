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

from imageproof.report.status import LOOKS as MARKS, STATUSES, WORST_FIRST, counts, count_line as count
from imageproof.report.size_changes import changes_since_baseline as changed, growth
from imageproof.report.size_tree import tree

from imageproof.report.text import clean, places

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Limits
    from imageproof.verify.judge import Result, Subject, Verdict

HERE = Path(__file__).parent
CHANGES = 20  # that are shown of an image


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
        f"<title>{'holds' if verdict.passes else 'falls short'}: inv verify</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    """As CSP Level 3 writes the hash of an inline element."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(text: object) -> str:
    return escape(clean(str(text)))


def _head(verdict: Verdict) -> Iterator[str]:
    said = ("holds", "✓ verify holds") if verdict.passes else ("falls", "✗ verify falls short")
    yield f'<h1 class="{said[0]}">{said[1]}</h1>'
    yield f"<p>{_shown(count(verdict))}</p>"
    yield '<nav class="contents" aria-label="Contents"><a href="#results">Results</a>'
    for number, subject in enumerate(verdict.subjects):
        if subject.image or subject.containers:
            yield f'<a href="#image{number}">{_shown(subject.name)}</a>'
    yield "</nav>"


def _results(verdict: Verdict) -> Iterator[str]:
    subjects = dict.fromkeys(result.subject for result in verdict.results)
    yield '<h2 id="results">Results</h2>'
    yield '<form class="filter" role="search" aria-label="Filter of the results">'
    for status in STATUSES:
        number = counts(verdict)[status]
        folded = status == "not run" or (status == "pass" and not verdict.passes)
        ticked = "" if folded else " checked"
        yield (
            f'<label><input type="checkbox" value="{status}"{ticked}> '
            f"{MARKS[status][0]} {status} ({number})</label>"
        )
    yield '<select aria-label="Of which image"><option value="">all images</option>'
    for number, subject in enumerate(subjects):
        yield f'<option value="{number}">{_shown(subject)}</option>'
    yield '</select><input type="search" aria-label="Words" placeholder="words">'
    yield '<output id="shown" class="dim"></output></form>'
    for number, subject in enumerate(subjects):
        yield f'<section class="subject" data-subject="{number}"><h3>{_shown(subject)}</h3>'
        yield '<div class="cards">'
        results = [result for result in verdict.results if result.subject == subject]
        for result in sorted(results, key=lambda r: (WORST_FIRST.index(r.status), r.check.id)):
            yield from _result(result)
        yield "</div></section>"


def _result(result: Result) -> Iterator[str]:
    mark, kind = MARKS[result.status][0], result.status.replace(" ", "-")
    unfolded = " open" if result.fails or result.status == "warning" else ""
    yield f'<details class="result" data-status="{result.status}"{unfolded}>'
    yield (
        f'<summary><span class="status {kind}">{mark} {result.status}</span> '
        f"<code>{_shown(result.check.id)}</code> "
        f'<span class="title">{_shown(result.check.title)}</span></summary>'
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
    yield f'<p class="dim">{_shown(check.why)}</p><p>→ {_shown(check.remedy)}</p>'
    yield f'<p class="dim">{_shown(check.reference)}</p></details>'


def _images(subjects: Sequence[Subject]) -> Iterator[str]:
    for number, subject in enumerate(subjects):
        if not (subject.image or subject.containers):
            continue
        name = _shown(subject.name)
        yield f'<section id="image{number}" aria-label="{name}"><h2>{name}</h2>'
        if subject.image:
            yield from _bytes(subject, subject.image, number)
        if subject.containers:
            yield from _containers(subject.containers)
        yield "</section>"


def _bytes(subject: Subject, facts: ImageFacts, number: int) -> Iterator[str]:
    name, budget = _shown(subject.name), int(subject.contract.size)
    since = f", {growth(facts)} since its size was recorded" if growth(facts) else ""
    yield (
        f"<p>{_shown(subject.reference)}: {facts.size / 1e6:.1f} MB in layers, "
        f"{facts.size / budget:.0%} of its budget of {budget / 1e6:.0f} MB{since}</p>"
        f'<meter min="0" max="{budget}" value="{facts.size}" aria-label="Used of the budget">'
        "</meter>"
    )
    # In a script element only `</` and `<!--` mean something; no `<` is left in the JSON.
    data = json.dumps(tree(facts), ensure_ascii=True).replace("<", "\\u003c")
    yield f'<script type="application/json" id="tree{number}">{data}</script>'
    yield f'<nav class="trail" aria-label="Where in the bytes of {name}"></nav>'
    yield (
        f'<div class="map" data-tree="tree{number}" role="group" aria-label="Bytes of {name}; '
        'arrows move, Enter goes in, Escape goes out"></div>'
    )
    layers = [
        (f"{layer.size / 1e6:.1f}", f"<code>{_shown(layer.instruction)}</code>")
        for layer in facts.layers
    ]
    yield _table(("MB", "layer"), layers, numbers={0})
    if found := changed(facts):
        yield f"<details><summary>What changed since its size was recorded ({len(found)})</summary>"
        rows = [
            (f"{one.by / 1e6:+.2f}", one.what, f"<code>{_shown(one.name)}</code>")
            for one in found[:CHANGES]
        ]
        yield f"{_table(('MB', 'what', 'name'), rows, numbers={0})}</details>"


def _containers(containers: Sequence[ContainerFacts]) -> Iterator[str]:
    heads = ("container", "state", "health", "restarts", "processes", "memory", "processors")
    rows = []
    for one in containers:
        limits = one.limits or one.requested_limits
        seen = "?" if one.processes is None else str(len(one.processes))
        rows.append(
            (
                _shown(one.name),
                _shown(one.status),
                _shown(one.health or "-"),
                str(one.restarts),
                f"{seen} of {_bound(limits, 'pids')}",
                _bound(limits, "memory", 1e6, " MB"),
                _bound(limits, "cpu"),
            )
        )
    yield f"<h3>What runs</h3>{_table(heads, rows, numbers={3, 4, 5, 6})}"
    for one in containers:
        if one.processes:
            yield f"<details><summary>Processes of {_shown(one.name)}</summary>"
            yield f"{_processes(one)}</details>"


def _bound(limits: Limits, what: str, unit: float = 1, name: str = "") -> str:
    if what in limits.missing:
        return "?"
    value = getattr(limits, what)
    return "no limit" if value is None else f"{value / unit:g}{name}"


def _processes(container: ContainerFacts) -> str:
    rows = [
        (
            str(one.pid),
            _shown(one.name),
            _shown(" ".join(map(str, sorted({*one.uids})))),
            _shown(" ".join(map(str, sorted({*one.gids, *one.groups})))),
            f"{one.effective:x}" if one.effective else "none",
            "no" if one.no_new_privileges else "yes",
        )
        for one in container.processes or ()
    ]
    heads = ("pid", "name", "users", "groups", "capabilities", "may gain rights")
    return _table(heads, rows, numbers={0})


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> str:
    """Cells are HTML already."""

    def line(kind: str, cells: Sequence[str]) -> str:
        said = [
            f"<{kind}{' class=number' if at in numbers else ''}>{cell}</{kind}>"
            for at, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(said)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    table = f"<table><thead>{line('th', heads)}</thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'
