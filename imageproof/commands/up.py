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
from imageproof.docker.image_tags import built_tags
from imageproof.docker.project_lock import project_lock
from imageproof.docker.replaced_images import remove_replaced_images
from imageproof.errors import ImageproofError, VerifyFailed
from imageproof.project.override_files import describe_overrides
from imageproof.report import summary
from imageproof.stack import compose
from imageproof.stack.ownership import require_own_stack
from imageproof.stack.start_plan import plan_start
from imageproof.stack.states import states
from imageproof.user_cache import open_folder
from imageproof.verify.run import today

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def up(contract: Contract, engine: Engine, *, dry_run: bool, wait: bool, take_over: bool) -> None:
    """Lint and build, verify the images, start the stack, verify it running, print its URLs.

    Lint and verify are skipped if they passed on the same inputs; BuildKit is always called.

    Args:
        contract: the project.
        engine: the engine.
        dry_run: only print what would be done.
        wait: wait for another command that works on the same project.
        take_over: also replace a stack that was started from another folder.
    """
    engine.require_answer()
    if dry_run:
        if not take_over:
            require_own_stack(contract, engine, "up --dry-run")
        compose.require_not_paused(engine)
        _print_plan(contract, engine)
        return
    with project_lock(engine, "up", wait=wait):
        if not take_over:
            require_own_stack(contract, engine, "up")
        compose.require_not_paused(engine)
        _up(contract, engine)


def _up(contract: Contract, engine: Engine) -> None:
    for line in describe_overrides(contract, engine):
        console.say(f"  {line}")
    before = states(engine)
    old_images = [container["Image"] for container in engine.containers()]
    steps = _CachedSteps(contract, engine)
    with steps.lint_during_block():
        built = build.build_images(contract, engine, None)
    inspected = engine.images(list(built.references.values()))
    ids = [image["Id"] for image in inspected.values()]
    date = today()  # an input of base.supported
    verify_images = partial(verify_quietly, contract, engine, running=False)
    steps.run("verify the images", "static", verify_images, ids, date)
    try:
        current = compose.up(contract, engine)
    finally:
        remove_replaced_images(engine, old_images)
    runs = [state.run for state in current]
    verify_stack = partial(verify_quietly, contract, engine, running=True)
    try:
        steps.run("verify the running stack", "running", verify_stack, ids, date, runs)
    except VerifyFailed:
        compose.report_change(engine, before, "the stack runs and does not pass")
        raise
    except (ImageproofError, KeyboardInterrupt):
        compose.report_change(engine, before, "the stack runs and is not verified")
        raise
    summary.print_urls(current)


def _print_plan(contract: Contract, engine: Engine) -> None:
    """Print what `up` would do. The build is not run, so its result is not known."""
    for line in describe_overrides(contract, engine):
        console.say(f"  {line}")
    tags = built_tags(contract, engine)
    console.write("would lint the project")
    for tag in tags:
        console.write(f"would build image {tag}")
    console.write("would verify the images")
    for line in plan_start(engine):
        console.write(line)
    console.say("  a container that is kept is replaced if the build changes its image")
    console.write("would verify the running stack")


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
