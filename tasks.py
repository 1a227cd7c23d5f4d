"""Where Invoke looks for tasks, and what ./inv starts: all of it lives in ops/."""

from imageproof.cli.tasks import namespace

__all__ = ["namespace"]

if __name__ == "__main__":
    from imageproof.cli.program import program

    program.run()
