"""The `size` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof import console
from imageproof.image.sizes import sizes_of
from imageproof.project.size_baseline import write_baselines
from imageproof.report import summary
from imageproof.verify.request import Request
from imageproof.verify.run import verify

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def size(contract: Contract, engine: Engine, image: str | None, *, record: bool = False) -> None:
    """Print the layers and largest files of each image, or record its sizes as the baseline."""
    request = Request(image=image, static=True, only="size.budget")
    subjects = verify(contract, engine, request).subjects
    if record:
        sizes = {subject.name: sizes_of(subject.image) for subject in subjects if subject.image}
        path = write_baselines(contract, sizes)
        console.done(f"recorded in {path.relative_to(contract.root)}: {', '.join(sizes)}")
        return
    summary.print_sizes(subjects)
