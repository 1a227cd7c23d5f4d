"""Node.js: its version, and the command and memory of a script."""

import shutil
from pathlib import Path

from worker.child import Bounds, ChildError, Children

# Sizes of V8's old and young generations in MB. File contents and zlib's buffers lie outside both.
# The young generation starts at its maximum: growing it takes about a twentieth of a review's time.
_HEAP_OPTIONS = ("--max-old-space-size=128", "--max-semi-space-size=4", "--min-semi-space-size=4")
MAX_DATA_BYTES = 400 * 1024 * 1024
"""Memory of a process; twice its heap and the tarballs."""


class NodeError(Exception):
    """Node is missing or does not run."""


def version() -> str:
    """Return Node's version, such as "v18.20.4"; raise NodeError if Node does not run."""
    try:
        bounds = Bounds(seconds=10, data_bytes=MAX_DATA_BYTES, output_bytes=100)
        result = Children().run([_node(), "--version"], b"", bounds)
    except ChildError as error:
        raise NodeError(f"node --version: {error}") from error
    text = result.stdout.decode("ascii", "replace").strip()
    if result.exit_status != 0 or not text.startswith("v"):
        detail = result.stderr_end or text
        raise NodeError(f"node --version exited with {result.exit_status}: {detail}")
    return text


def command(script: Path) -> list[str]:
    """Return the command that runs a script; raise NodeError if Node is missing."""
    return [_node(), *_HEAP_OPTIONS, str(script)]


def _node() -> str:
    if (path := shutil.which("node")) is None:
        raise NodeError("node is not on the PATH")
    return path
