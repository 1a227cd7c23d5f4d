"""Entry point of the API: ``python -m app``, or ``python -m app --check`` for a smoke test."""

import argparse
import signal
import sys
from types import FrameType


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End with status 0: to be asked to stop is no failure."""
    sys.exit(0)


def main() -> int:
    """Run the API, or the smoke test, and return the exit status."""
    # First of all, since the kernel ignores signals that PID 1 has no handler for. uvicorn takes
    # them over while it serves, and raises them again, for this handler, when it has shut down.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    parser = argparse.ArgumentParser(prog="app", description="The API.")
    parser.add_argument("--check", action="store_true", help="load everything, answer, say ok")
    arguments = parser.parse_args()
    # imported here: it takes most of the start, and a signal may come in the meantime
    from app import serve

    return serve.check() if arguments.check else serve.serve()


if __name__ == "__main__":
    sys.exit(main())
