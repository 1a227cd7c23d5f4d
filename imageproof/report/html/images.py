"""The section of images: size bars, size maps, changes since the baseline, containers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.report.html.markup import code, table, text
from imageproof.report.size_changes import changes_since_baseline, growth_text
from imageproof.report.size_tree import tree

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Limits
    from imageproof.verify.judge import Subject, Verdict

MAX_CHANGES = 20  # shown for each image
BAR_WIDTH = 1000  # units of the SVG's viewBox


def images(verdict: Verdict) -> Iterator[str]:
    """Yield one block for each image that was read or has containers."""
    subjects = [subject for subject in verdict.subjects if subject.image or subject.containers]
    if not subjects:
        return
    yield '<section id="images"><h2>Images</h2>'
    for number, subject in enumerate(subjects):
        yield f'<article class="image" id="image-{number}">'
        yield f'<h3>{text(subject.name)} <span class="id">{code(subject.reference)}</span></h3>'
        if subject.image:
            yield from _size(subject, subject.image)
            yield from _map(subject, subject.image, number)
            yield from _changes(subject, subject.image)
        if subject.containers:
            yield from _containers(subject, subject.containers)
        yield "</article>"
    yield "</section>"


def _size(subject: Subject, facts: ImageFacts) -> Iterator[str]:
    budget = int(subject.contract.size)
    over = " over" if facts.size > budget else ""
    yield (
        f'<p class="size{over}"><span><b>{facts.size / 1e6:.1f} MB</b> of {budget / 1e6:.1f} MB '
        f"<em>({facts.size / budget:.0%} of the budget)</em></span>"
    )
    if since := growth_text(facts):
        yield f'<span class="dim">{since} since baseline</span>'
    yield "</p>"
    yield _bar(facts, budget)


def _bar(facts: ImageFacts, budget: int) -> str:
    """Return a bar of the layers against the budget.

    It is an SVG, because the page's Content-Security-Policy forbids style attributes.
    """
    scale = BAR_WIDTH / max(facts.size, budget, 1)
    parts, start = [], 0.0
    layers = [layer for layer in facts.layers if layer.size]
    for number, layer in enumerate(layers):
        width = layer.size * scale
        name = text(f"{layer.instruction or layer.diff_id}: {layer.size / 1e6:.1f} MB")
        parts.append(
            f'<rect class="layer{number % 2}" x="{start:.1f}" y="4" width="{width:.1f}" '
            f'height="16"><title>{name}</title></rect>'
        )
        start += width
    limit = budget * scale
    if facts.size > budget:
        excess = BAR_WIDTH - limit
        parts.append(
            f'<rect class="excess" x="{limit:.1f}" y="4" width="{excess:.1f}" height="16"/>'
        )
    label = f"{facts.size / 1e6:.1f} of {budget / 1e6:.1f} MB"
    return (
        f'<svg class="bar" viewBox="0 0 {BAR_WIDTH} 24" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}"><rect class="track" y="4" width="{BAR_WIDTH}" height="16"/>'
        f'{"".join(parts)}<rect class="limit" x="{min(limit, BAR_WIDTH) - 2:.1f}" width="2" '
        'height="24"/></svg>'
    )


def _map(subject: Subject, facts: ImageFacts, number: int) -> Iterator[str]:
    """Yield the size map, which the script draws, and a table of layers that needs no script."""
    # Only `</` and `<!--` are markup in a script element, so the JSON must contain no `<`.
    data = json.dumps(tree(facts), ensure_ascii=True).replace("<", "\\u003c")
    name = text(subject.name)
    yield "<details><summary>Layers, packages and files</summary>"
    yield f'<script type="application/json" id="tree{number}">{data}</script>'
    yield f'<nav class="trail" aria-label="Open part of {name}"></nav>'
    yield (
        f'<div class="map" data-tree="tree{number}" role="group" aria-label="Size map of {name}; '
        'arrow keys move, Enter opens a part, Escape closes it"></div>'
    )
    layers = [
        (code(layer.instruction or layer.diff_id), f"{layer.size / 1e6:.1f}")
        for layer in facts.layers
    ]
    yield f"{table(f'Layers of {subject.name}', ('layer', 'MB'), layers, {1})}</details>"


def _changes(subject: Subject, facts: ImageFacts) -> Iterator[str]:
    if changes := changes_since_baseline(facts):
        rows = [
            (code(change.name), change.kind, f"{change.growth / 1e6:+.2f}")
            for change in changes[:MAX_CHANGES]
        ]
        caption = f"Changes of {subject.name} since the baseline"
        yield f"<details><summary>Changes since the baseline ({len(changes)})</summary>"
        yield f"{table(caption, ('name', 'kind', 'MB'), rows, {2})}</details>"


def _containers(subject: Subject, containers: Sequence[ContainerFacts]) -> Iterator[str]:
    heads = ("container", "state", "health", "restarts", "processes", "memory", "CPUs")
    rows = [_container(container) for container in containers]
    yield f"<details><summary>Running containers ({len(containers)})</summary>"
    yield table(f"Containers of {subject.name}", heads, rows, {3, 4, 5, 6})
    for container in containers:
        if container.processes:
            yield f"<h4>Processes of {text(container.name)}</h4>{_processes(container)}"
    yield "</details>"


def _container(container: ContainerFacts) -> tuple[str, ...]:
    """Return the cells of a container's row."""
    limits = container.limits or container.requested_limits
    processes = "?" if container.processes is None else str(len(container.processes))
    return (
        text(container.name),
        text(container.status),
        text(container.health or "-"),
        str(container.restarts),
        f"{processes} of {_limit(limits, 'pids')}",
        _limit(limits, "memory", divisor=1e6, unit=" MB"),
        _limit(limits, "cpu"),
    )


def _limit(limits: Limits, name: str, *, divisor: float = 1, unit: str = "") -> str:
    if name in limits.missing:
        return "?"
    value = getattr(limits, name)
    return "no limit" if value is None else f"{value / divisor:g}{unit}"


def _processes(container: ContainerFacts) -> str:
    """Return the table of a container's processes."""
    rows = [
        (
            str(process.pid),
            text(process.name),
            " ".join(map(str, sorted({*process.uids}))),
            " ".join(map(str, sorted({*process.gids, *process.groups}))),
            f"{process.effective:x}" if process.effective else "none",
            "no" if process.no_new_privileges else "yes",
        )
        for process in container.processes or ()
    ]
    heads = ("pid", "name", "users", "groups", "capabilities", "may gain privileges")
    return table(f"Processes of {container.name}", heads, rows, {0})
