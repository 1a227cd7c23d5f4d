"""Main function of the worker's Python children: bytes from stdin, JSON to stdout."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from worker.child import EXIT_OUT_OF_MEMORY

EXIT_CRASHED = 70


def run(answer: Callable[[bytes], dict[str, Any]]) -> int:
    """Answer the request on stdin and return the exit status."""
    try:
        # "replace": half a character (a lone surrogate) cannot be written, nor stored later.
        text = json.dumps(answer(sys.stdin.buffer.read()), ensure_ascii=False)
        output = text.encode("utf-8", "replace")
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)  # at once: anything else may need memory
    except Exception as error:  # noqa: BLE001 - any; the parent reports it
        # Without the message and the code's lines: they may contain a secret or a package's text.
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        places = "".join(
            f"\n    at {frame.name} ({frame.filename}:{frame.lineno})" for frame in frames
        )
        sys.stderr.write(f"{type(error).__name__}{places}\n")
        return EXIT_CRASHED
    return 0
