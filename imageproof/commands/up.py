"""`./inv up`: the steps of the line one after the other. What passed on the same inputs, byte for
byte, is not run again, and is said to be so; each command by itself always runs.

What a step needs is imported by the step: where nothing changed, most of it is not needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.commands import inputs, line
from imageproof.commands.passed import Passed, digest_of
from imageproof.report import summary
from imageproof.stack import compose

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def up(contract: Contract, engine: Engine) -> None:
    """Lint and build → verify static → start → wait for health → verify running → URLs."""
    engine.require()
    steps = _Steps(contract, engine)
    today = datetime.now().astimezone().date()  # an image's age is judged by it
    with steps.linting():
        built = line.build(contract, engine, None)
    steps.once("verify the images", "static", steps.verify_images, built.ids, today)
    states = compose.up(contract, engine)
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
        reads = self._reads(*more)
        console.step(title)
        if not self._passed(step, reads):
            self._done(step, run(), reads, *more)

    @contextlib.contextmanager
    def linting(self) -> Iterator[None]:
        """Lint while the images are built, which leaves a processor idle most of the time; what
        was said is told after that, and before all that it stops."""
        reads = self._reads()
        if Passed(self.contract.root).find("lint", reads):
            console.step("lint")
            self._passed("lint", reads)
            yield
            return
        from imageproof.commands import lint

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(lint.look, self.contract, self.engine)
            try:
                yield
            finally:  # also where the build fails: a linter may say why in fewer words
                console.step("lint")
                said = "lint" if lint.tell(looking.result()) else None
                self._done("lint", said, reads)

    def _passed(self, step: str, reads: str | None) -> bool:
        """Whether it passed on the same inputs; then that is said."""
        known = Passed(self.contract.root).find(step, reads)
        if known:
            console.done(f"{known['said']} (at {known['at']}; nothing changed since)")
        return bool(known)

    def _done(self, step: str, said: str | None, reads: str | None, *more: object) -> None:
        console.done(said or step)
        if said and reads == self._reads(*more):  # nothing was edited meanwhile
            at = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
            Passed(self.contract.root).keep(step, reads, said=said, at=at)

    def _reads(self, *more: object) -> str | None:
        project = inputs.project(self.contract, self.engine)
        return project and digest_of(project, *more)

    def verify_images(self) -> str:
        """What can be told of the images without starting one."""
        return line.verify_quietly(self.contract, self.engine, running=False)

    def verify_stack(self) -> str:
        """All that can be told while the stack runs."""
        return line.verify_quietly(self.contract, self.engine, running=True)
