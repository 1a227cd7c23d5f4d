"""size.waste: no later layer hides or repeats many bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import finding_at

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer

MIN_REPEATED_BYTES = 4096  # smaller files are often equal: licences, empty modules


@check(
    "size.waste",
    "image",
    title="No later layer hides or repeats many bytes",
    why="A file that a later step deletes, changes or copies stays in the layer below: every node "
    "pulls and stores it, and no container sees it.",
    remedy="Clean up in the step that makes the files. Use COPY --chown or --chmod instead of RUN "
    "chown or chmod.",
    reference="https://docs.docker.com/build/building/best-practices/#minimize-layers",
)
def waste(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail above the contract's `waste`; name the largest wasted file."""
    wasted = [*_hidden(facts), *_repeated(facts)]
    total = sum(file.size for file, _, _ in wasted)
    if total <= contract.waste:
        return
    file, layer, reason = max(wasted, key=lambda item: (item[0].size, item[0].path))
    yield finding_at(
        file.path,
        layer,
        f"{total / 1e6:.2f} MB in {len(wasted)} files are wasted "
        f"({contract.waste / 1e6:.2f} MB allowed); "
        f"the largest: /{file.path}, {file.size / 1e6:.2f} MB, {reason}",
        measured=total,
        bound=int(contract.waste),
    )


def _hidden(facts: ImageFacts) -> Iterator[tuple[File, Layer, str]]:
    """Yield each hidden file with its layer and the reason."""
    for file, layer, hiding in facts.hidden:
        if file.kind == "file":
            yield file, layer, f"hidden by {hiding.instruction or hiding.diff_id}"


def _repeated(facts: ImageFacts) -> Iterator[tuple[File, Layer, str]]:
    """Yield each visible file whose content a lower layer also has, with its layer and the reason.

    `_hidden` counts hidden copies. Copies within one layer do not count: the program may need both.
    """
    depth = {layer.diff_id: number for number, layer in enumerate(facts.layers)}
    first_copy: dict[str, tuple[File, Layer]] = {}
    for file, layer in sorted(facts.files.values(), key=lambda entry: depth[entry[1].diff_id]):
        if file.kind == "file" and file.size >= MIN_REPEATED_BYTES and file.digest:
            original, below = first_copy.setdefault(file.digest, (file, layer))
            if below is not layer:
                yield file, layer, f"the same as /{original.path} in a lower layer"
