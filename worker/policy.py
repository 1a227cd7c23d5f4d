"""Identity of what a worker judges by: its code and its settings."""

import hashlib
from functools import cache
from pathlib import Path

from pydantic import Secret, SecretStr

from app.config import WorkerSettings
from app.reviews import Result
from worker.llm import MissingReason

FOLDER = Path(__file__).parent
SUFFIXES = frozenset({".py", ".cjs"})
IRRELEVANT = frozenset({"log_level", "store_url", "worker_poll_interval"})
"""Settings that change no result. Keys and tokens are left out as well, because they are secret."""
CHANGING_SIGNALS = frozenset({"version.fresh"})
"""Signals that depend on the time of the review."""


def policy(settings: WorkerSettings) -> str:
    """Return a digest that differs if two workers may judge the same upgrade differently."""
    values = {
        name: _public(getattr(settings, name))
        for name in sorted(type(settings).model_fields)
        if name not in IRRELEVANT
    }
    return hashlib.sha256(f"{_code_digest()} {values}".encode()).hexdigest()[:32]


def _public(value: object) -> object:
    """Return a setting's value without a key, token, user or password."""
    if isinstance(value, SecretStr):
        return None
    if isinstance(value, Secret):
        url = value.get_secret_value()
        return url.scheme, url.host, url.port, url.path
    return value


def is_repeatable(result: Result) -> bool:
    """Return whether the same versions would get the same result tomorrow.

    They would not if a finding depends on the time, or if the language model failed.
    """
    if CHANGING_SIGNALS & {f.signal for f in result.findings}:
        return False
    return result.summary_missing in (None, MissingReason.DISABLED.value)


@cache
def _code_digest() -> str:
    """Return the digest of the worker's code, the diff program included."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in SUFFIXES and "node_modules" not in path.parts:
            digest.update(f"{path.relative_to(FOLDER)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
