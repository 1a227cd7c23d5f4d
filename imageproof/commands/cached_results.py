"""Cached results of lint and verify, for `up` only, keyed by the content of their inputs.

They are stored in the user's cache folder (`imageproof.user_cache`): nothing in the repository is
believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageproof
from imageproof.atomic_write import write_atomically
from imageproof.build.git import run_git
from imageproof.contract import FILE
from imageproof.project.input_files import (
    UnknownInputs,
    describe_files,
    named_files,
    require_known_settings,
)
from imageproof.user_cache import read_file

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# Written by this toolkit, and read by no check: not inputs.
OUTPUTS = (".imageproof/logs/", ".imageproof/sbom/", ".imageproof/release.json")
RESULTS_FILE = "results.json"


def project_fingerprint(contract: Contract, engine: Engine) -> str | None:
    """Return a digest of the project: its files, compose model and version of the toolkit.

    The files are those that git lists (submodules included, ignored ones excluded), .env, and what
    the contract and the compose files name. Return None if they cannot all be known, such as
    outside a git repository: nothing is cached.
    """
    listing = run_git(contract.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listing is None:
        return None
    names = {name for name in listing.split("\0") if name and not name.startswith(OUTPUTS)}
    model = engine.compose_model(interpolate=True)
    try:
        # A folder, such as a submodule of another repository, is listed as `name/`.
        require_known_settings(contract, (name.rstrip("/") for name in names))
        named = named_files(contract, (model, engine.compose_model(interpolate=False)))
        every = {*names, ".env", FILE, *map(str, (*named, *engine.compose_files))}
        files = list(describe_files(contract.root, sorted(every)))
    except UnknownInputs:
        return None
    return digest_of(files, model, imageproof.__version__)


def digest_of(*parts: Any) -> str:
    """Return the SHA-256 digest of JSON-serialisable values, and of others by their text."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class CachedResult:
    """Result of a step that passed."""

    summary: str  # one line
    at: str  # local time


@dataclass(frozen=True)
class CachedResults:
    """The last passed run of each step of a project. A damaged file counts as empty.

    `folder`: the project's cache folder; None: nothing is cached.
    """

    folder: Path | None

    def find(self, step: str, fingerprint: str | None) -> CachedResult | None:
        """Return the step's cached result; None if its inputs changed or are unknown."""
        entry = self._read().get(step)
        if fingerprint is None or not isinstance(entry, dict):
            return None
        if entry.get("inputs") != fingerprint:
            return None
        summary, at = entry.get("summary"), entry.get("at")
        if not (isinstance(summary, str) and isinstance(at, str)):
            return None
        return CachedResult(summary, at)

    def store(self, step: str, fingerprint: str | None, summary: str) -> None:
        """Store the step's result, unless its inputs are unknown.

        An unwritable file is no error: the step runs again next time.
        """
        if fingerprint is None or self.folder is None:
            return
        at = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
        entry = {"inputs": fingerprint, "summary": summary, "at": at}
        document = self._read() | {step: entry}
        with contextlib.suppress(OSError):
            write_atomically(self.folder / RESULTS_FILE, json.dumps(document).encode())

    def _read(self) -> dict[str, Any]:
        content = read_file(self.folder / RESULTS_FILE) if self.folder else None
        try:
            document = json.loads(content or b"{}")
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}
