"""Entry point of the worker: ``python -m worker [--check | --self-test]``."""

import argparse
import sys

from worker.stop import StopSignal


def main() -> int:
    """Work, or check that it could; return the exit status."""
    # First of all, and before the imports that take most of the start: as PID 1 a signal that
    # nobody handles is lost, and `docker stop` would then wait until it may kill.
    stop = StopSignal().install()
    parser = argparse.ArgumentParser(prog="worker", description="The worker.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="load everything, run Node, say ok")
    mode.add_argument("--self-test", action="store_true", help="diff two made-up versions")
    arguments = parser.parse_args()
    if arguments.self_test:
        from worker.selftest import self_test

        return self_test()
    from worker import run

    return run.check() if arguments.check else run.run(stop)


if __name__ == "__main__":
    sys.exit(main())
