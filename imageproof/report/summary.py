"""Short answers of the other commands: what was built, what runs, what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.errors import UsageError

if TYPE_CHECKING:
    from imageproof.build.bake import Built
    from imageproof.checks import Check
    from imageproof.image.facts import ImageFacts
    from imageproof.machine.doctor import Prerequisite
    from imageproof.release.manifest import Release
    from imageproof.stack.compose import ServiceState
    from imageproof.verify.judge import Subject


WORTH_NAMING = 100_000  # bytes: smaller files are not what makes a layer large
CHANGES = 8  # that `size` shows


def built(result: Built, sizes: Mapping[str, int]) -> None:
    """Each image with its size, and what the build cost."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("image", "tag", "size"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    for name, reference in result.references.items():
        table.add_row(name, reference, f"{sizes[name] / 1e6:.1f} MB")
    if result.references:
        console.show(table)
    else:
        console.say("  the result stays with the builder: add --load, --push or --output")
    console.done(
        f"build: {result.seconds:.1f} s, {result.steps} steps, {result.cached} of them cached"
    )


def released(release: Release) -> None:
    """Each image by what it is deployed by."""
    for name, image in release.images.items():
        console.write(f"{name}  {image.pinned}")


def stack(states: Sequence[ServiceState]) -> None:
    """Each container with its state and ports."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("service", "container", "status", "health", "restarts", "ports"):
        table.add_column(heading)
    for state in states:
        table.add_row(
            state.service,
            state.container,
            state.status,
            state.health or "-",
            str(state.restarts),
            " ".join(state.ports),
        )
    console.show(table)


def urls(states: Sequence[ServiceState]) -> None:
    """Where the stack answers."""
    for state in states:
        for port in state.ports:
            address = port.partition("->")[0]
            console.write(f"{state.service}  http://{address}")


def prerequisites(found: Sequence[Prerequisite], form: str) -> None:
    """What the line needs, what was found, what is wrong and how to mend it."""
    if form not in ("table", "json"):
        raise UsageError(
            "reading the command line", f"there is no format {form!r}", hint="formats: json, table"
        )
    if form == "json":
        console.write(json.dumps([{**asdict(item), "ok": item.ok} for item in found], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("", "needed", "found", "problem", "mend"):
        table.add_column(heading)
    for item in found:
        mark = "[green]✓" if item.ok else "[red]✗"
        table.add_row(mark, item.name, item.found, item.problem or "", item.remedy or "")
    console.show(table)


def explained(check: Check) -> None:
    """Everything about one check."""
    console.write(
        f"{check.id}: {check.title}\n\nWhy   {check.why}\n\nMend  {check.remedy}\n\n"
        f"See   {check.reference}\n\nLooks at: {check.needs}"
    )


def sizes(subjects: Sequence[Subject]) -> None:
    """Where the bytes of each image are: its layers, the largest files in them, and what changed
    since its size was recorded."""
    for subject in subjects:
        if subject.image is None:
            continue
        used = subject.image.size / int(subject.contract.size)
        console.write(
            f"{subject.name}  {subject.image.size / 1e6:.1f} MB, {used:.0%} of its budget"
        )
        for layer in subject.image.layers:
            console.write(f"  {layer.size / 1e6:8.1f} MB  {layer.instruction}")
            largest = sorted(layer.files, key=lambda file: -file.size)[:5]
            for file in largest:
                if file.size > WORTH_NAMING:
                    console.write(f"             {file.size / 1e6:6.1f} MB  /{file.path}")
        _since(subject.image)


def _since(image: ImageFacts) -> None:
    """What changed since the size was recorded; nothing where the contract records none."""
    if image.record is None or image.record.baselines is None:
        return
    from imageproof.image.sizes import baseline_for, sizes_of
    from imageproof.project.size_baseline import changes

    before = baseline_for(image)
    if before is None:
        console.write("  no size is recorded on this base: `./inv size --record`")
        return
    console.write(f"  {(image.size - before.size) / 1e6:+.2f} MB since it was recorded")
    for change in changes(before, sizes_of(image))[:CHANGES]:
        console.write(f"    {change}")
