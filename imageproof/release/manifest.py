"""Release file: the images that belong together, their digests, and their provenance.

`./inv push` and `./inv promote` write it, `./inv deploy` reads it. A tag can be moved, a digest
cannot: `deploy` uses `pinned`, never `reference`.
"""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationError,
)

from imageproof.atomic_write import write_atomically
from imageproof.contract import Model
from imageproof.documents import parse_json
from imageproof.errors import UsageError
from imageproof.registry.reference import DIGEST_PATTERN, parse_reference

SCHEMA: Final = 1  # increase it if a key is removed or changes its meaning
DEFAULT_FILE = ".imageproof/release.json"
MAX_FILE_BYTES = 1 << 20
HINT = "`./inv push` writes a release file; do not edit it"
Digest = Annotated[str, Field(pattern=f"^{DIGEST_PATTERN}$")]


def _require_tag(text: str) -> str:
    """Return a reference unchanged. Raises ValueError unless it is HOST/NAME:TAG."""
    try:
        reference = parse_reference(text)
    except UsageError as error:
        raise ValueError(error.cause) from error
    if not reference.tag or reference.digest or str(reference) != text:
        raise ValueError(f"{text!r} is not HOST/NAME:TAG")
    return text


class Base(Model):
    """The base image of all images of a release."""

    reference: str
    digest: Digest


class ContractResult(Model):
    """Number of an image's checks by status. No check of a released image failed."""

    model_config = ConfigDict(populate_by_name=True)

    digest: Digest = Field(description="digest of the image's contract, as JSON")
    passed: NonNegativeInt = Field(alias="pass")
    waived: NonNegativeInt = 0
    warning: NonNegativeInt = 0
    not_run: NonNegativeInt = 0


class ReleasedImage(Model):
    """One image of a release."""

    reference: Annotated[str, AfterValidator(_require_tag)] = Field(description="HOST/NAME:TAG")
    digest: Digest = Field(description="digest of its manifest, or of its multi-platform index")
    contract: ContractResult

    @property
    def pinned(self) -> str:
        """HOST/NAME@DIGEST."""
        return str(parse_reference(self.reference).with_digest(self.digest))


class Release(Model):
    """Images that belong together."""

    schema_: Literal[1] = Field(SCHEMA, alias="schema")
    created: AwareDatetime
    revision: str = Field(description="commit that the images were built from; empty outside git")
    base: Base | None = Field(None, description="None if the images have no base labels")
    locks: dict[str, Digest] = Field({}, description="path of each lock file: digest")
    images: dict[str, ReleasedImage] = Field(min_length=1, description="by name in the contract")

    model_config = ConfigDict(populate_by_name=True)


def load(path: Path) -> Release:
    """Read a release file.

    Raises:
        UsageError: The file cannot be read, or is invalid. The message names the wrong key.
    """
    action = f"reading the release {path}"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(action, str(error.strerror), hint=HINT) from error
    if len(text) > MAX_FILE_BYTES:
        raise UsageError(action, f"the file has more than {MAX_FILE_BYTES:,} bytes", hint=HINT)
    try:
        document = parse_json(text)
    except ValueError as error:
        raise UsageError(action, f"the file is not valid JSON: {error}", hint=HINT) from error
    try:
        return Release.model_validate(document)
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
        raise UsageError(action, problems[0], tail=problems[1:], hint=HINT) from error


def _describe(problem: Any) -> str:
    key = ".".join(map(str, problem["loc"])) or "the whole file"
    return f"{key}: {problem['msg']}"


def write(release: Release, path: Path) -> None:
    """Write a release file atomically. Raises UsageError if the path cannot be written."""
    created = release.created.astimezone(UTC).replace(microsecond=0)
    document = release.model_copy(update={"created": created}).model_dump(
        mode="json", by_alias=True
    )
    text = json.dumps(document, indent=2)
    try:
        write_atomically(path, f"{text}\n".encode())
    except OSError as error:
        action = f"writing the release {path}"
        raise UsageError(
            action, str(error.strerror), hint="name another path with --output"
        ) from error
