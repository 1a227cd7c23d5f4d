"""The `up` command: lint beside the build, verify, start the stack, verify it running."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.commands import build, lint
from imageproof.commands.cached_results import CachedResults, digest_of, project_fingerprint
from imageproof.commands.verify import verify_quietly
from imageproof.report import summary
from imageproof.stack import compose

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def up(contract: Contract, engine: Engine) -> None:
    """Lint and build, verify the images, start the stack, verify it running, print its URLs.

    Lint and verify are skipped if they passed on the same inputs; BuildKit is always called.
    """
    engine.require_answer()
    steps = _Steps(contract, engine)
    today = datetime.now().astimezone().date()  # the checks judge an image's age by it
    with steps.linting():
        built = build.build(contract, engine, None)
    ids = [image["Id"] for image in engine.images(list(built.references.values())).values()]
    steps.run("verify the images", "static", steps.verify_images, ids, today)
    states = compose.up(contract, engine)
    runs = [state.run for state in states]
    steps.run("verify the running stack", "running", steps.verify_stack, ids, today, runs)
    summary.print_urls(states)


@dataclass(frozen=True)
class _Steps:
    contract: Contract
    engine: Engine

    def run(self, title: str, step: str, action: Callable[[], str | None], *more: object) -> None:
        """Run a step unless it passed on the same project and the same `more`.

        `action` returns a one-line result, or None if the result must not be cached.
        """
        fingerprint = self._fingerprint(*more)
        console.step(title)
        if not self._is_cached(step, fingerprint):
            self._finish(step, action(), fingerprint, *more)

    @contextlib.contextmanager
    def linting(self) -> Iterator[None]:
        """Lint in a thread while the images are built; print the result after the build."""
        fingerprint = self._fingerprint()
        if CachedResults(self.contract.root).find("lint", fingerprint):
            console.step("lint")
            self._is_cached("lint", fingerprint)
            yield
            return
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(lint.run_linters, self.contract, self.engine)
            try:
                yield
            finally:  # also if the build fails: a linter may say why in fewer words
                console.step("lint")
                result = "lint" if lint.report(pending.result()) else None
                self._finish("lint", result, fingerprint)

    def _is_cached(self, step: str, fingerprint: str | None) -> bool:
        """Return whether the step passed on the same inputs, and print it if so."""
        cached = CachedResults(self.contract.root).find(step, fingerprint)
        if cached:
            console.done(f"{cached['result']} (cached, {cached['at']})")
        return bool(cached)

    def _finish(
        self, step: str, result: str | None, fingerprint: str | None, *more: object
    ) -> None:
        console.done(result or step)
        if result and fingerprint == self._fingerprint(*more):  # no file was edited meanwhile
            at = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
            CachedResults(self.contract.root).store(step, fingerprint, result=result, at=at)

    def _fingerprint(self, *more: object) -> str | None:
        project = project_fingerprint(self.contract, self.engine)
        return project and digest_of(project, *more)

    def verify_images(self) -> str:
        """Verify the images without starting a container."""
        return verify_quietly(self.contract, self.engine, running=False)

    def verify_stack(self) -> str:
        """Verify the images and the running stack."""
        return verify_quietly(self.contract, self.engine, running=True)
