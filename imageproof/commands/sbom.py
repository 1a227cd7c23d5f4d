"""The `sbom` command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.atomic_write import write_error, write_report
from imageproof.report.sbom import as_cyclonedx
from imageproof.verify.request import parse_request
from imageproof.verify.run import verify

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

HINT = "name another folder with --output"
FOLDER = ".imageproof/sbom"
IMAGE_CHECK = "size.budget"  # any cheap check that makes `verify` read the images


def sbom(contract: Contract, engine: Engine, image: str | None, output: str | None) -> None:
    """Write a CycloneDX document for each image to a folder.

    The document of a single image is printed instead if no folder is named (`output`).

    Raises UsageError if an image does not exist or the folder cannot be written, and NoSpace if
    its disk is full.
    """
    request = parse_request(image, IMAGE_CHECK, static=True)
    subjects = verify(contract, engine, request).subjects
    images = {subject.name: subject.image for subject in subjects if subject.image}
    documents = {name: as_cyclonedx(name, facts) for name, facts in images.items()}
    if image and output is None:
        console.write("".join(documents.values()))
        return
    folder = Path(output or contract.root / FOLDER)
    for name, text in documents.items():
        path = folder / f"{name}.cdx.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, f"writing {path}", HINT) from error
        write_report(path, f"{text}\n", f"writing {path}", HINT)
        console.write(str(path))
