"""Diff of two published versions of an npm package, by the Node program in ``worker/diff/``.

Each request runs in a process of its own, so a hostile tarball can harm that process only.
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
    """Limits of one request. The program refuses a larger input and cuts longer lines or texts."""

    tarball_bytes: int = 32 * _MIB  # of each tarball, as downloaded
    unpacked_bytes: int = 256 * _MIB  # of each tarball, unpacked
    files: int = 20_000  # in each tarball
    line_bytes: int = _MIB  # of one line; a longer one is cut
    lines_bytes: int = 8 * _MIB  # of all added and removed lines
    diff_bytes: int = 2 * _MIB  # of the diff's text
    fetch_seconds: int = 60  # for all downloads

    def max_answer_bytes(self) -> int:
        """Return the maximum length of the program's answer.

        As JSON, a diff's text takes at most twice its size. Names and manifests have limits of
        their own (``worker/diff/src/tar.mjs``, ``contents.mjs``).
        """
        return self.lines_bytes + 2 * self.diff_bytes + 24 * _MIB

    def as_json(self) -> dict[str, int]:
        """Return the limits under the names that the program uses."""
        return {_camel_case(name): value for name, value in asdict(self).items()}


class DiffError(Exception):
    """Failure to diff two versions.

    Attributes:
        code: bad_request, not_found, no_such_version, unauthorized, registry_unavailable,
            integrity, too_large, unsafe_path, unsafe_entry, bad_tar, bad_gzip or bad_manifest from
            the program; "node" if the program could not run, crashed or was killed at a limit.
        retry: whether the same request may succeed later.
    """

    def __init__(self, code: str, message: str, retry: bool = False) -> None:
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
    """Return the difference between two published versions of a package.

    Args:
        package: name, including the scope.
        old: version in use, or a range or dist-tag.
        new: requested version, or a range or dist-tag.
        registry: http:// or https:// address of an npm registry, with or without user:password;
            None for npm's default.
        token: bearer token of the registry; it is sent to no other host.
        limits: limits of the tarballs and the answer.
        timeout: seconds until the program is killed, downloads included.

    Raises:
        DiffError: the registry does not serve both versions, a tarball is broken, hostile or
            above a limit, or the program failed. The message contains no address and no secret.
    """
    request = {
        "package": package,
        "from": old,
        "to": new,
        "registry": registry,
        "token": token,
        "limits": limits.as_json(),
    }
    answer = send_request(request, timeout=timeout, max_output=limits.max_answer_bytes())
    try:
        return _change(package, answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DiffError("node", f"the diff program's answer is invalid: {error}") from error


def send_request(
    request: dict[str, Any], *, timeout: float = TIMEOUT_SECONDS, max_output: int = _MIB
) -> dict[str, Any]:
    """Run the program with one request and return its answer.

    Args:
        request: the request; ``worker/diff/src/request.mjs`` reads it.
        timeout: seconds until the program is killed.
        max_output: maximum bytes of the answer.

    Raises:
        DiffError: the program refused the request or failed.
    """
    if not PROGRAM.is_file():
        message = "worker/diff is not built: run `npm ci && npm run build` in that folder"
        raise DiffError("node", message)
    try:
        result = node.run(
            PROGRAM, json.dumps(request).encode(), timeout=timeout, max_output=max_output
        )
    except node.NodeError as error:
        raise DiffError("node", str(error), retry=True) from error
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        detail = result.stderr_end or "its stderr is empty"
        message = f"node exited with {result.exit_status} and no answer: {detail}"
        raise DiffError("node", message, retry=True)
    if "error" in answer:
        raise DiffError(**answer["error"])
    return answer


def _camel_case(name: str) -> str:
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
        node_version=answer["node_version"],
    )


def _version(version: dict[str, Any]) -> Version:
    return Version(**(version | {"published": _parse_time(version["published"])}))


def _file(file: dict[str, Any]) -> FileChange:
    added_lines = tuple((number, line) for number, line in file["added_lines"])
    removed_lines = tuple(file["removed_lines"])
    return FileChange(**(file | {"added_lines": added_lines, "removed_lines": removed_lines}))


def _parse_time(text: str | None) -> datetime | None:
    """Return a registry's timestamp in UTC, or None if it is missing or invalid."""
    try:
        time = datetime.fromisoformat(text or "")
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None
