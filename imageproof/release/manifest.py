"""A release: which images belong together, each by its digest in a registry, and what was known of
them when they were pushed.

`./inv push` and `./inv promote` write it, `./inv deploy` reads it. Tags can be moved and digests
can't: what is deployed is `pinned`, never `reference`.
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

from imageproof.atomic_write import write_whole
from imageproof.contract import Model
from imageproof.errors import UsageError
from imageproof.registry.reference import DIGEST, parse

SCHEMA: Final = 1  # of the file: raised when a key changes its meaning or goes
FILE = ".imageproof/release.json"  # where it is written, unless another file is named
SIZE = 1 << 20  # bytes that such a file may have
HINT = "`./inv push` writes such a file; it is not to be edited"
Digest = Annotated[str, Field(pattern=f"^{DIGEST}$")]


def _is_tagged(text: str) -> str:
    try:
        found = parse(text)
    except UsageError as error:
        raise ValueError(error.cause) from error
    if not found.tag or found.digest or str(found) != text:
        raise ValueError(f"{text!r} is not HOST/NAME:TAG")
    return text


class Base(Model):
    """The base that the images were built on."""

    reference: str
    digest: Digest


class Judged(Model):
    """What the contract said of an image: how many checks came to what. None failed."""

    model_config = ConfigDict(populate_by_name=True)

    digest: Digest = Field(description="of the contract by which it was judged, as JSON")
    passed: NonNegativeInt = Field(alias="pass")
    waived: NonNegativeInt = 0
    warning: NonNegativeInt = 0
    not_run: NonNegativeInt = 0


class Released(Model):
    """One image of a release."""

    reference: Annotated[str, AfterValidator(_is_tagged)] = Field(description="HOST/NAME:TAG")
    digest: Digest = Field(description="of its manifest, or its index where it is for several")
    contract: Judged

    @property
    def pinned(self) -> str:
        """HOST/NAME@DIGEST: this image, whatever its tag is moved to."""
        return str(parse(self.reference).by(self.digest))


class Release(Model):
    """Images that belong together."""

    schema_: Literal[1] = Field(SCHEMA, alias="schema")
    created: AwareDatetime
    revision: str = Field(description="commit that they were built from; empty outside git")
    base: Base | None = Field(None, description="None: the images' labels do not say")
    locks: dict[str, Digest] = Field({}, description="lock file: digest of its content")
    images: dict[str, Released] = Field(min_length=1, description="by their name in the contract")

    model_config = ConfigDict(populate_by_name=True)


def load(path: Path) -> Release:
    """Read a release. Raises UsageError, with the place in the file, for what is none."""
    action = f"reading the release {path}"
    try:
        with path.open("rb") as file:
            text = file.read(SIZE + 1)
    except OSError as error:
        raise UsageError(action, f"it cannot be read: {error.strerror}", hint=HINT) from error
    if len(text) > SIZE:
        raise UsageError(action, f"it has more than {SIZE:,} bytes", hint=HINT)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(action, f"it is no JSON: {error}", hint=HINT) from error
    try:
        return Release.model_validate(document)
    except ValidationError as error:
        problems = [_place(problem) for problem in error.errors()]
        raise UsageError(action, problems[0], tail=problems[1:], hint=HINT) from error


def _place(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"])) or "the whole"
    return f"{where}: {problem['msg']}"


def write(release: Release, path: Path) -> None:
    """Write a release, whole or not at all. Raises UsageError where that cannot be done."""
    created = release.created.astimezone(UTC).replace(microsecond=0)
    document = release.model_copy(update={"created": created}).model_dump(
        mode="json", by_alias=True
    )
    text = json.dumps(document, indent=2)
    try:
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        action = f"writing the release {path}"
        raise UsageError(action, str(error.strerror), hint="name another with --output") from error
