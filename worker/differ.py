"""Diffs two npm tarballs by the Node program in ``worker/diff/``.

One process a request: what a hostile tarball does to it ends with it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from worker import node

PROGRAM = Path(__file__).parent / "diff" / "diff.mjs"
TIMEOUT_SECONDS = 60.0
MAX_OUTPUT_BYTES = 16 * 1024 * 1024


class DiffError(Exception):
    """The diff could not be made.

    Attributes:
        code: what kind of failure, such as "bad_gzip" or "too_large"; "node" when the program
            itself could not be run, was killed for a bound, or broke.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the text."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class FileChange:
    """One file that differs. A file that was not compared by lines has the reason in `note`."""

    path: str
    status: Literal["added", "removed", "modified"]
    added: int
    removed: int
    note: str | None = None


@dataclass(frozen=True)
class DiffResult:
    """What differs between two tarballs."""

    files: tuple[FileChange, ...]
    diff: str
    truncated: bool
    stats: Mapping[str, int]
    node: str


def diff_tarballs(
    old: Path,
    new: Path,
    *,
    limits: Mapping[str, int] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> DiffResult:
    """Return what differs between two local npm tarballs.

    Args:
        old: tarball of the version in use.
        new: tarball of the version asked for.
        limits: overrides of the program's own: maxUnpackedBytes (each tarball), maxFiles (each),
            maxDiffBytes.
        timeout: seconds until the program is killed.

    Raises:
        DiffError: a tarball is broken, hostile or beyond a limit, or the program failed.
    """
    request = {"from": str(old), "to": str(new), "limits": dict(limits or {})}
    return _result(ask(request, timeout=timeout))


def ask(request: Mapping[str, object], *, timeout: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """Send one request to the program and return its answer; raises DiffError."""
    try:
        ended = node.run(
            PROGRAM, json.dumps(request).encode(), timeout=timeout, max_output=MAX_OUTPUT_BYTES
        )
    except node.NodeError as error:
        raise DiffError("node", str(error)) from error
    try:
        answer = json.loads(ended.output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        tail = ended.errors or "it wrote nothing"
        raise DiffError("node", f"node ended with {ended.status} and no result: {tail}")
    if "error" in answer:
        raise DiffError(answer["error"]["code"], answer["error"]["message"])
    return answer


def _result(answer: dict[str, Any]) -> DiffResult:
    try:
        return DiffResult(
            files=tuple(FileChange(**file) for file in answer["files"]),
            diff=answer["diff"],
            truncated=answer["truncated"],
            stats=answer["stats"],
            node=answer["node"],
        )
    except (KeyError, TypeError) as error:
        raise DiffError("node", f"the result has another shape than agreed: {error}") from error
