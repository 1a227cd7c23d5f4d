"""Short results of commands: built images, containers, prerequisites, sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.report.format_option import require_format
from imageproof.report.size_changes import changes_since_baseline, growth_text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from imageproof.build.bake import BuildResult
    from imageproof.checks import Check
    from imageproof.image.facts import ImageFacts
    from imageproof.machine.doctor import Prerequisite
    from imageproof.release.manifest import Release
    from imageproof.release.plan import PlannedCopy
    from imageproof.stack.states import ServiceState
    from imageproof.verify.judge import Subject

TABLE_FORMATS = ("json", "table")
MIN_FILE_BYTES = 100_000  # smaller files are not shown
MAX_FILES = 5  # shown for each layer
MAX_CHANGES = 8  # shown for each image


def print_build(result: BuildResult, sizes: Mapping[str, int]) -> None:
    """Print each image with its size, and the build's duration and steps.

    Args:
        result: The finished build.
        sizes: The images' sizes in bytes, by name; empty if the images are not in the engine.
    """
    table = plain_table("image", "tag")
    table.add_column("size", justify="right")
    for name, reference in result.references.items():
        table.add_row(name, reference, f"{sizes[name] / 1e6:.1f} MB")
    if result.references:
        console.show(table)
    else:
        console.say("  the result is only in the builder: add --load, --push or --output")
    console.done(
        f"build: {result.seconds:.1f} s, {result.steps} steps, {result.cached} of them cached"
    )


def print_release(release: Release) -> None:
    """Print each image with the reference by digest that a deployment uses."""
    for name, image in release.images.items():
        console.write(f"{name}  {image.pinned}")


def print_copies(copies: Sequence[PlannedCopy], release_file: Path) -> None:
    """Print what a push or promotion would copy, and the release file that it would write."""
    for copy in copies:
        if copy.present:
            outcome = " (is there already)"
        else:
            outcome = f" (replaces {copy.replaces})" if copy.replaces else " (new)"
        console.write(f"would copy {copy.source} → {copy.target}{outcome}")
    verb = "replace" if release_file.exists() else "write"
    console.write(f"would {verb} {release_file}")


def print_containers(states: Sequence[ServiceState], format_: str = "table") -> None:
    """Print each container with its state and ports, in one of TABLE_FORMATS."""
    if format_ == "json":
        console.write(json.dumps([_container_record(state) for state in states], indent=2))
        return
    table = plain_table("service", "container", "status", "health", "restarts", "ports")
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


def _container_record(state: ServiceState) -> dict[str, Any]:
    """Return a container's JSON object; docs/operations.md describes its keys."""
    keys = ("service", "container", "status", "health", "restarts")
    return {
        **{key: getattr(state, key) for key in keys},
        "ports": [_port_record(port) for port in state.ports],
    }


def _port_record(port: str) -> dict[str, Any]:
    """Return the parts of a published port, such as 127.0.0.1:8000->8000/tcp."""
    host, _, target = port.partition("->")
    address, _, host_port = host.rpartition(":")
    container_port, _, protocol = target.partition("/")
    return {
        "address": address,
        "port": int(host_port),
        "container_port": int(container_port),
        "protocol": protocol,
    }


def print_urls(states: Sequence[ServiceState]) -> None:
    """Print the URL of each published port."""
    for state in states:
        for port in state.ports:
            address = port.partition("->")[0]
            console.write(f"{state.service}  http://{address}")


def print_prerequisites(items: Sequence[Prerequisite], format_: str) -> None:
    """Print each prerequisite with the version found, its problem and its remedy.

    Raises:
        UsageError: The format is unknown.
    """
    require_format(format_, TABLE_FORMATS)
    if format_ == "json":
        console.write(json.dumps([{**asdict(item), "ok": item.ok} for item in items], indent=2))
        return
    table = plain_table("", "needed", "found", "problem", "remedy")
    for item in items:
        mark = "[red]✗" if not item.ok else "[yellow]!" if item.warning else "[green]✓"
        problem = item.problem or item.warning or ""
        table.add_row(mark, item.name, item.found, problem, item.remedy or "")
    console.show(table)


def print_check(check: Check) -> None:
    """Print the title, reason, remedy, reference and needs of a check."""
    console.write(
        f"{check.id}: {check.title}\n\nWhy     {check.why}\n\nRemedy  {check.remedy}\n\n"
        f"See     {check.reference}\n\nNeeds   {check.needs}"
    )


def print_sizes(subjects: Sequence[Subject]) -> None:
    """Print each image's layers, their largest files, and the changes since the baseline."""
    for subject in subjects:
        if subject.image is None:
            continue
        used = subject.image.size / int(subject.contract.size)
        console.write(
            f"{subject.name}  {subject.image.size / 1e6:.1f} MB, {used:.0%} of its budget"
        )
        for layer in subject.image.layers:
            console.write(f"  {layer.size / 1e6:8.1f} MB  {layer.instruction}")
            largest = sorted(layer.files, key=lambda file: -file.size)[:MAX_FILES]
            for file in largest:
                if file.size > MIN_FILE_BYTES:
                    console.write(f"             {file.size / 1e6:6.1f} MB  /{file.path}")
        _print_changes(subject.image)


def _print_changes(image: ImageFacts) -> None:
    """Print the changes since the baseline; nothing if the contract names no baseline file."""
    if image.project_files is None or image.project_files.baselines is None:
        return
    if not (since := growth_text(image)):
        console.write("  no size is recorded on this base: run `./inv size --record`")
        return
    console.write(f"  {since} since the baseline")
    for change in changes_since_baseline(image)[:MAX_CHANGES]:
        console.write(f"    {change}")


def plain_table(*headings: str) -> Table:
    """Return an empty table without lines."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in headings:
        table.add_column(heading)
    return table
