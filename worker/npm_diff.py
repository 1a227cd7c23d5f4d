"""Diff of two published versions of an npm package, by the Node program in ``worker/diff/``.

Each request runs in a process of its own, so a hostile tarball can harm that process only.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worker import node
from worker.change import Change, FileChange, Version
from worker.child import Bounds, ChildError, Children, ChildResult
from worker.failure import ReviewError, ended, killed

PROGRAM = Path(__file__).parent / "diff" / "dist" / "diff.cjs"
TIMEOUT_SECONDS = 120.0
_PART = "comparison"
_MIB = 1024 * 1024
_MAX_REFUSAL_BYTES = 65536


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


def diff_versions(package: str, old: str, new: str, **options: Any) -> Change:
    """Fetch two versions and return their difference. For trusted packages: see `fetch_diff`."""
    return parse_answer(package, fetch_diff(Children(), package, old, new, **options))


def fetch_diff(
    children: Children,
    package: str,
    old: str,
    new: str,
    *,
    registry: str | None,
    token: str | None,
    hosts: Sequence[str] = (),
    limits: Limits = Limits(),
    timeout: float = TIMEOUT_SECONDS,
) -> bytes:
    """Return the program's answer: the difference between two published versions of a package.

    The answer is untrusted and large: `parse_answer` reads it in a process of its own.

    Args:
        children: runs the program.
        package: name, including the scope.
        old: version in use, or a range or dist-tag.
        new: requested version, or a range or dist-tag.
        registry: http:// or https:// address of an npm registry, with or without user:password;
            None for npm's default.
        token: bearer token of the registry; it is sent to no other host.
        hosts: further hosts from which tarballs may come.
        limits: limits of the tarballs and the answer.
        timeout: seconds until the program is killed, downloads included.

    Raises:
        ReviewError: the registry does not serve both versions, a tarball is broken, hostile or
            above a limit, or the program failed. The message contains no address and no secret.
        Cancelled: the job was cancelled.
    """
    request = {
        "package": package,
        "from": old,
        "to": new,
        "registry": registry,
        "token": token,
        "hosts": list(hosts),
        "limits": limits.as_json(),
    }
    return send_request(children, request, timeout=timeout, max_output=limits.max_answer_bytes())


def send_request(
    children: Children,
    request: dict[str, Any],
    *,
    timeout: float = TIMEOUT_SECONDS,
    max_output: int = _MIB,
) -> bytes:
    """Run the program with one request and return its answer.

    Args:
        children: runs the program.
        request: the request; ``worker/diff/src/request.mjs`` reads it.
        timeout: seconds until the program is killed.
        max_output: maximum bytes of the answer.

    Raises:
        ReviewError: the program refused the request or failed.
        Cancelled: the job was cancelled.
    """
    if not PROGRAM.is_file():
        message = "worker/diff is not built: run `npm ci && npm run build` in that folder"
        raise ReviewError("crashed", message)
    bounds = Bounds(timeout, node.MAX_DATA_BYTES, max_output)
    try:
        result = children.run(node.command(PROGRAM), json.dumps(request).encode(), bounds)
    except node.NodeError as error:
        raise ReviewError("cannot_start", str(error)) from error
    except ChildError as error:
        raise killed(_PART, error) from error
    if result.exit_status == 0 and result.stdout:
        return result.stdout
    raise _refusal(result) or ended(_PART, result, bounds)


def parse_answer(package: str, answer: bytes) -> Change:
    """Return the difference that the program's answer describes.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the answer is invalid.
    """
    fields = json.loads(answer)
    return Change(
        package=package,
        old=_version(fields["from"]),
        new=_version(fields["to"]),
        files=tuple(_file(file) for file in fields["files"]),
        diff=fields["diff"],
        truncated=fields["truncated"],
        stats=fields["stats"],
        node_version=fields["node_version"],
    )


def _refusal(result: ChildResult) -> ReviewError | None:
    """Return the error that the program answered, or None if it did not answer."""
    if result.exit_status != 1 or len(result.stdout) > _MAX_REFUSAL_BYTES:
        return None
    try:
        error = json.loads(result.stdout)["error"]
        # A cut name may end in half a character, which cannot be stored.
        texts = (str(error.get(key) or "") for key in ("code", "message", "detail"))
        return ReviewError(*(text.encode("utf-8", "replace").decode() for text in texts))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


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
