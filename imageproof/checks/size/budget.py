"""How large an image is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.image.sizes import baseline_for, most_grown

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer

REPEATED = 4096  # bytes: smaller files are licences and empty modules, equal by nature


@check(
    "size.budget",
    "image",
    title="All layers together stay within the budget",
    why="Bytes are pulled on each node at each deployment, and each file is one more to patch. "
    "Layer bytes, uncompressed, are the same on every engine and image store.",
    remedy="`./inv size` shows which layer grew. Raise the budget only with a reason in the commit.",
    reference="OCI image spec, config.md: rootfs.diff_ids name uncompressed layers",
)
def budget(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail when the sum of the layers' uncompressed tars exceeds the budget; names the largest, and
    what grew since the size was recorded."""
    if facts.size > terms.size:
        largest = max(facts.layers, key=lambda layer: layer.size)
        before = baseline_for(facts)
        grown = f"; {', '.join(map(str, most_grown(facts, before)))}" if before else ""
        yield Finding(
            f"{facts.size / 1e6:.1f} MB in layers, the budget is {terms.size / 1e6:.1f} MB; "
            f"the largest layer has {largest.size / 1e6:.1f} MB{grown}",
            layer=largest.diff_id,
            instruction=largest.instruction,
            measured=facts.size,
            bound=int(terms.size),
        )


@check(
    "size.waste",
    "image",
    title="No bytes are hidden or repeated by a later layer",
    why="What a later step deletes, changes or copies stays in the layer below: it is pulled and "
    "kept, and nobody sees it.",
    remedy="Clean up in the step that makes it; COPY --chown or --chmod instead of a RUN behind it.",
    reference="https://docs.docker.com/build/building/best-practices/#minimize-layers",
)
def waste(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail above the contract's `waste`; names the largest file and what hides it."""
    found = [*_hidden(facts), *_repeated(facts)]
    total = sum(file.size for file, _, _ in found)
    if total <= terms.waste:
        return
    file, layer, how = max(found, key=lambda item: (item[0].size, item[0].path))
    yield Finding(
        f"{total / 1e6:.2f} MB in {len(found)} files are wasted, {terms.waste / 1e6:.2f} MB may "
        f"be; the largest: /{file.path}, {file.size / 1e6:.2f} MB, {how}",
        file=f"/{file.path}",
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=total,
        bound=int(terms.waste),
    )


def _hidden(facts: ImageFacts) -> Iterator[tuple[File, Layer, str]]:
    for file, layer, by in facts.hidden:
        if file.kind == "file":
            yield file, layer, f"hidden by {by.instruction or by.diff_id}"


def _repeated(facts: ImageFacts) -> Iterator[tuple[File, Layer, str]]:
    """Visible files whose content a lower layer has too: what is hidden there is counted as that,
    and twice in one layer is the program's own business."""
    depth = {layer.diff_id: number for number, layer in enumerate(facts.layers)}
    first: dict[str, tuple[File, Layer]] = {}
    for file, layer in sorted(facts.files.values(), key=lambda entry: depth[entry[1].diff_id]):
        if file.kind == "file" and file.size >= REPEATED and file.digest:
            known, below = first.setdefault(file.digest, (file, layer))
            if below is not layer:
                yield file, layer, f"the same as /{known.path} below it"
