"""Module that `invoke` and ./inv load. The tasks are in ops/tasks.py."""

from ops.tasks import namespace

__all__ = ["namespace"]

if __name__ == "__main__":
    from imageproof.cli.program import make_program

    make_program(namespace).run()
