"""What the times of a benchmark depend on; no name of anything."""

from __future__ import annotations

import os
import platform
from typing import Any

from imageproof.docker.client import Engine


def machine(engine: Engine) -> dict[str, Any]:
    """Processors, memory, and the versions of what was measured with."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processors": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "architecture": platform.machine(),
        "engine": engine.versions()[1],
        "python": platform.python_version(),
    }
