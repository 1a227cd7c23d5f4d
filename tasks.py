"""Where Invoke looks for tasks, and what ./inv starts: all of it lives in ops/."""

from ops.tasks import namespace

__all__ = ["namespace"]

if __name__ == "__main__":
    from ops.program import program

    program.run()
