"""Where Invoke looks for tasks: they live in ops/tasks.py."""

from ops.tasks import namespace

__all__ = ["namespace"]
