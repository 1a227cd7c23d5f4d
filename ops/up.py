"""`./inv up`: the steps of the line one after the other. What passed on the same inputs, byte for
byte, is not run again, and is said to be so; each command by itself always runs.

What a step needs is imported by the step: where nothing changed, most of it is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ops import console, inputs, line, stack
from ops.passed import Passed
from ops.report import summary

if TYPE_CHECKING:
    from ops.contract import Contract
    from ops.engine import Engine


def up(contract: Contract, engine: Engine) -> None:
    """Lint → build → verify static → start → wait for health → verify running → URLs."""
    engine.require()
    steps = _Steps(contract, engine)
    today = datetime.now().astimezone().date()  # an image's age is judged by it
    steps.once("lint", "lint", steps.lint)
    built = line.build(contract, engine, None)
    steps.once("verify the images", "static", steps.verify_images, built.ids, today)
    states = stack.up(contract, engine)
    runs = [state.run for state in states]
    steps.once("verify the running stack", "running", steps.verify_stack, built.ids, today, runs)
    summary.urls(states)


@dataclass(frozen=True)
class _Steps:
    contract: Contract
    engine: Engine

    def once(self, title: str, step: str, run: Callable[[], str | None], *more: object) -> None:
        """Run a step, unless it passed on the project as it is, and on what `more` says. It
        returns in a few words what it came to; None where that is to be said each time."""
        passed = Passed(self.contract.root)
        reads = self._reads(*more)
        console.step(title)
        if known := passed.find(step, reads):
            console.done(f"{known['said']} (at {known['at']}; nothing changed since)")
            return
        said = run()
        console.done(said or step)
        if said and reads == self._reads(*more):  # nothing was edited meanwhile
            now = datetime.now().astimezone()
            passed.keep(step, reads, said=said, at=f"{now:%Y-%m-%d %H:%M:%S}")

    def _reads(self, *more: object) -> str | None:
        project = inputs.project(self.contract, self.engine)
        return project and inputs.digest_of(project, *more)

    def lint(self) -> str | None:
        """Every linter."""
        from ops import lint

        return "lint" if lint.lint(self.contract, self.engine) else None

    def verify_images(self) -> str:
        """What can be told of the images without starting one."""
        return line.verify_quietly(self.contract, self.engine, running=False)

    def verify_stack(self) -> str:
        """All that can be told while the stack runs."""
        return line.verify_quietly(self.contract, self.engine, running=True)
