"""The machine that a benchmark ran on, without its name."""

from __future__ import annotations

import os
import platform
from typing import Any

from imageproof.docker.client import Engine


def machine(engine: Engine) -> dict[str, Any]:
    """Return the processors, the memory, and the versions of the engine and of Python."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processors": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "architecture": platform.machine(),
        "engine": engine.versions()[1],
        "python": platform.python_version(),
    }
