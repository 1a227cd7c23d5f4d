"""Diffs two published versions of an npm package by the Node program in ``worker/diff/``.

One process a request: what a hostile tarball does to it ends with it.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worker import node
from worker.change import Change, FileChange, Version

PROGRAM = Path(__file__).parent / "diff" / "dist" / "diff.cjs"
TIMEOUT_SECONDS = 120.0
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one request may take; beyond it is a refusal, or for lines and text, a cut."""

    tarball_bytes: int = 32 * _MIB  # of each tarball, as it is downloaded
    unpacked_bytes: int = 256 * _MIB  # of each tarball, unpacked
    files: int = 20_000  # in each tarball
    line_bytes: int = _MIB  # of one line; a longer one is cut
    lines_bytes: int = 8 * _MIB  # of all added and removed lines
    diff_bytes: int = 2 * _MIB  # of the diff's text
    fetch_seconds: int = 60  # for all that is fetched

    def answer_bytes(self) -> int:
        """Return how long the program's answer can be.

        The text of a diff takes twice the space at worst, as JSON; names and manifests have bounds
        of their own (``worker/diff/src/tar.mjs``, ``contents.mjs``).
        """
        return self.lines_bytes + 2 * self.diff_bytes + 24 * _MIB


class DiffError(Exception):
    """The diff could not be made.

    Attributes:
        code: what kind of failure: bad_request, not_found, no_such_version, unauthorized,
            registry_unavailable, integrity, too_large, unsafe_path, unsafe_entry, bad_tar,
            bad_gzip or bad_manifest; "node" when the program itself could not be run, was killed
            for a bound, or broke.
        retry: whether the same request may succeed later.
    """

    def __init__(self, code: str, message: str, retry: bool = False) -> None:
        """Keep the code and the hope beside the text."""
        super().__init__(message)
        self.code = code
        self.retry = retry


def diff_versions(
    package: str,
    old: str,
    new: str,
    *,
    registry: str | None,
    token: str | None,
    limits: Limits = Limits(),
    timeout: float = TIMEOUT_SECONDS,
) -> Change:
    """Return what differs between two published versions of a package.

    Args:
        package: its name, with its scope.
        old: version in use, or a range or dist-tag.
        new: version asked for, likewise.
        registry: http:// or https:// address of an npm registry, with user:password or without;
            None for npm's default.
        token: bearer token of the registry; goes to no other host.
        limits: what the two tarballs, and the answer, may take.
        timeout: seconds until the program is killed, fetching included.

    Raises:
        DiffError: the registry does not give both versions, a tarball is broken, hostile or beyond
            a limit, or the program failed. Its text names no address, and holds no secret.
    """
    request = {
        "package": package,
        "from": old,
        "to": new,
        "registry": registry,
        "token": token,
        "limits": {_camel(name): value for name, value in asdict(limits).items()},
    }
    answer = ask(request, timeout=timeout, max_output=limits.answer_bytes())
    try:
        return _change(package, answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DiffError("node", f"the answer has another shape than agreed: {error}") from error


def ask(
    request: dict[str, Any], *, timeout: float = TIMEOUT_SECONDS, max_output: int = _MIB
) -> dict[str, Any]:
    """Send one request to the program and return its answer; raises DiffError."""
    if not PROGRAM.is_file():
        raise DiffError("node", "worker/diff is not built: run `npm ci && npm run build` in it")
    try:
        ended = node.run(
            PROGRAM, json.dumps(request).encode(), timeout=timeout, max_output=max_output
        )
    except node.NodeError as error:
        raise DiffError("node", str(error), retry=True) from error
    try:
        answer = json.loads(ended.output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        tail = ended.errors or "it wrote nothing"
        raise DiffError("node", f"node ended with {ended.status} and no result: {tail}", retry=True)
    if "error" in answer:
        raise DiffError(**answer["error"])
    return answer


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _change(package: str, answer: dict[str, Any]) -> Change:
    return Change(
        package=package,
        old=_version(answer["from"]),
        new=_version(answer["to"]),
        files=tuple(_file(file) for file in answer["files"]),
        diff=answer["diff"],
        truncated=answer["truncated"],
        stats=answer["stats"],
        node=answer["node"],
    )


def _version(version: dict[str, Any]) -> Version:
    return Version(**(version | {"published": _moment(version["published"])}))


def _file(file: dict[str, Any]) -> FileChange:
    lines = tuple((number, line) for number, line in file["lines"])
    return FileChange(**(file | {"lines": lines, "gone": tuple(file["gone"])}))


def _moment(text: str | None) -> datetime | None:
    """Return the time that a registry wrote, in UTC; None where it is none."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None
