"""The collection of imageproof's commands, as Invoke tasks."""

from __future__ import annotations

from collections.abc import Callable

from invoke.collection import Collection
from invoke.tasks import Task

from imageproof.cli import images, machine, project, release, stack


def make_collection(*own: Task[Callable[..., None]]) -> Collection:
    """Return imageproof's commands and the project's own tasks.

    A task of the project replaces the command of the same name.
    """
    collection = Collection()
    for module in (machine, images, stack, release, project):
        for task in vars(module).values():
            if isinstance(task, Task):
                collection.add_task(task)
    for task in own:
        collection.add_task(task)
    return collection
