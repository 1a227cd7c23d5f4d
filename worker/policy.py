"""Identity of what a worker judges by: its code, threshold and language model."""

import hashlib
from functools import cache
from pathlib import Path

from app.reviews import Result
from worker.llm import LlmSettings, MissingReason

FOLDER = Path(__file__).parent
SUFFIXES = frozenset({".py", ".cjs"})
CHANGING_SIGNALS = frozenset({"version.fresh"})
"""Signals that depend on the time of the review."""


def policy(threshold: float, llm: LlmSettings) -> str:
    """Return a digest that differs if two workers may judge the same upgrade differently."""
    parts = (_code_digest(), threshold, llm.provider, llm.model, str(llm.base_url))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


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
