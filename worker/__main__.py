"""Entry point of the worker: ``python -m worker [--check | --self-test]``."""

import argparse
import sys

from worker.stop import StopSignal


def main() -> int:
    """Run the mode that the command line names and return the exit status."""
    # Before the slow imports: the kernel drops a signal that PID 1 does not handle, and
    # `docker stop` would then wait for its whole timeout.
    stop = StopSignal().install()
    parser = argparse.ArgumentParser(prog="worker", description="Review npm upgrades.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="load all modules, run Node, print ok")
    mode.add_argument("--self-test", action="store_true", help="diff two sample versions")
    arguments = parser.parse_args()
    if arguments.self_test:
        from worker.selftest import self_test

        return self_test()
    from worker import run

    return run.check() if arguments.check else run.run(stop)


if __name__ == "__main__":
    sys.exit(main())
