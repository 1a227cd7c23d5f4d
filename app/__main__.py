"""Entry point of the API: ``python -m app``, or ``python -m app --check`` for a smoke test."""

import argparse
import signal
import sys
from types import FrameType


def _exit(_signal: int, _frame: FrameType | None) -> None:
    """Exit with status 0: a requested stop is no failure."""
    sys.exit(0)


def main() -> int:
    """Run the API or the smoke test, and return the exit status."""
    # First, because the kernel drops a signal that PID 1 does not handle. uvicorn replaces the
    # handlers while it serves, and raises the signal again after its shutdown.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    parser = argparse.ArgumentParser(prog="app", description="The API.")
    parser.add_argument(
        "--check", action="store_true", help='load the application, send it requests, print "ok"'
    )
    arguments = parser.parse_args()
    # Imported after the handlers are set, because it takes most of the start.
    from app import serve

    return serve.check() if arguments.check else serve.serve()


if __name__ == "__main__":
    sys.exit(main())
