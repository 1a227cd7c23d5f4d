"""Module that `invoke` and ./inv load. The tasks are in ops/tasks.py."""

import signal

if __name__ == "__main__":  # Ctrl-C while modules load ends the program without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from ops.tasks import namespace

__all__ = ["namespace"]

if __name__ == "__main__":
    from imageproof.cli.program import make_program

    make_program(namespace).run()
