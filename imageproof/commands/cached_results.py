"""Cached results of lint and verify, for `up` only, keyed by the content of their inputs."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageproof
from imageproof.atomic_write import write_whole
from imageproof.build.git import run_git

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

FILE = ".imageproof/results.json"
STATE_FOLDER = ".imageproof/"  # written by this toolkit: not an input


def project_fingerprint(contract: Contract, engine: Engine) -> str | None:
    """Return a digest of every file that git lists, .env, the compose model and the toolkit.

    Return None outside a git repository: the inputs are unknown, so nothing is cached.
    """
    listed = run_git(contract.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        return None
    listed_names = {n for n in listed.split("\0") if n and not n.startswith(STATE_FOLDER)}
    files = list(_contents(contract.root, sorted({*listed_names, ".env"})))
    return digest_of(files, engine.compose_model(interpolate=True), imageproof.__version__)


def digest_of(*parts: Any) -> str:
    """Return the SHA-256 digest of JSON-serialisable values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _contents(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each file's name with its kind, mode and content; missing files as well."""
    for name in names:
        path = root / name
        try:
            if path.is_symlink():
                yield name, f"link {path.readlink()}"
                continue
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            yield name, f"{path.stat().st_mode:o} {content}"
        except OSError as error:
            yield name, f"unreadable {error.errno}"


@dataclass(frozen=True)
class CachedResults:
    """The last good result of each step of a project. A damaged file counts as empty."""

    root: Path

    def find(self, step: str, fingerprint: str | None) -> dict[str, Any] | None:
        """Return the step's cached result; None if its inputs changed or are unknown."""
        entry = self._read().get(step)
        if fingerprint is None or not isinstance(entry, dict):
            return None
        if entry.get("inputs") != fingerprint:
            return None
        result = entry.get("result")
        return result if isinstance(result, dict) else None

    def store(self, step: str, fingerprint: str | None, **result: Any) -> None:
        """Store the step's result. A file that cannot be written only costs time."""
        if fingerprint is None:
            return
        document = self._read() | {step: {"inputs": fingerprint, "result": result}}
        with contextlib.suppress(OSError):
            write_whole(self.root / FILE, json.dumps(document).encode())

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads((self.root / FILE).read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}
