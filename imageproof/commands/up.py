"""The `up` command: lint beside the build, verify, start the stack, verify it running."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.commands import build, lint
from imageproof.commands.cached_results import (
    CachedResult,
    CachedResults,
    digest_of,
    project_fingerprint,
)
from imageproof.commands.verify import verify_quietly
from imageproof.report import summary
from imageproof.stack import compose
from imageproof.user_cache import open_folder
from imageproof.verify.run import today

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def up(contract: Contract, engine: Engine) -> None:
    """Lint and build, verify the images, start the stack, verify it running, print its URLs.

    Lint and verify are skipped if they passed on the same inputs; BuildKit is always called.
    """
    engine.require_answer()
    steps = _CachedSteps(contract, engine)
    with steps.lint_during_block():
        built = build.build(contract, engine, None)
    inspected = engine.images(list(built.references.values()))
    ids = [image["Id"] for image in inspected.values()]
    date = today()  # an input of base.supported
    verify_images = partial(verify_quietly, contract, engine, running=False)
    steps.run("verify the images", "static", verify_images, ids, date)
    states = compose.up(contract, engine)
    runs = [state.run for state in states]
    verify_stack = partial(verify_quietly, contract, engine, running=True)
    steps.run("verify the running stack", "running", verify_stack, ids, date, runs)
    summary.print_urls(states)


@dataclass(frozen=True)
class _CachedSteps:
    """Steps that are skipped if they passed on the same project and the same other inputs."""

    contract: Contract
    engine: Engine

    def run(self, title: str, step: str, action: Callable[[], str], *inputs: object) -> None:
        """Run a step, or print its cached result.

        Args:
            title: The line that begins the step.
            step: The step's key in the cache.
            action: Runs the step, and returns its result in one line. Raises if the step fails.
            inputs: The step's inputs besides the project.
        """
        fingerprint = self._fingerprint(*inputs)
        cached = self._results.find(step, fingerprint)
        console.step(title)
        if cached:
            _print_cached(cached)
            return
        result = action()
        console.done(result)
        self._store(step, result, fingerprint, *inputs)

    @contextlib.contextmanager
    def lint_during_block(self) -> Iterator[None]:
        """Lint in a thread while the block runs, and print the result after the block.

        A cached result is printed before the block.
        """
        fingerprint = self._fingerprint()
        cached = self._results.find("lint", fingerprint)
        if cached:
            console.step("lint")
            _print_cached(cached)
            yield
            return
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(lint.run_linters, self.contract, self.engine)
            try:
                yield
            finally:  # also if the build fails: a linter may give the cause in fewer words
                console.step("lint")
                outcomes = pending.result()
                lint.report(outcomes)
                console.done("lint")
                if not any(
                    outcome.warnings for outcome in outcomes
                ):  # a cached result would hide the warnings
                    self._store("lint", "lint", fingerprint)

    @property
    def _results(self) -> CachedResults:
        return CachedResults(open_folder(self.contract.root))

    def _store(self, step: str, result: str, fingerprint: str | None, *inputs: object) -> None:
        """Store a result, unless a file of the project was edited while the step ran."""
        if fingerprint == self._fingerprint(*inputs):
            self._results.store(step, fingerprint, result)

    def _fingerprint(self, *inputs: object) -> str | None:
        project = project_fingerprint(self.contract, self.engine)
        return project and digest_of(project, *inputs)


def _print_cached(cached: CachedResult) -> None:
    console.done(f"{cached.summary} (cached, {cached.at})")
