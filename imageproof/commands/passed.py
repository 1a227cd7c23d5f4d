"""What passed before, and on what: so that a step whose inputs are the same is not run again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof.atomic_write import write_whole

FILE = ".imageproof/passed.json"


def digest_of(*parts: Any) -> str:
    """One digest of anything that JSON can say."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Passed:
    """The last good run of each step of a project. A file that is damaged counts as none."""

    root: Path

    def find(self, step: str, inputs: str | None) -> dict[str, Any] | None:
        """What the step came to on these inputs; None where they are others, or not known."""
        known = self._read().get(step)
        if inputs is None or not isinstance(known, dict) or known.get("inputs") != inputs:
            return None
        result = known.get("result")
        return result if isinstance(result, dict) else None

    def keep(self, step: str, inputs: str | None, **result: Any) -> None:
        """Remember what the step came to. That it cannot be written costs time only."""
        if inputs is None:
            return
        document = self._read() | {step: {"inputs": inputs, "result": result}}
        with contextlib.suppress(OSError):
            write_whole(self.root / FILE, json.dumps(document).encode())

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads((self.root / FILE).read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}
