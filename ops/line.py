"""The line as a whole: the steps that take more than one part of the library."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ops import base as bases
from ops import build as builds
from ops import console, stack
from ops import lint as lints
from ops import verify as verdicts
from ops.engine import Engine, environment
from ops.errors import UsageError, VerifyFailed
from ops.facts.record import write_baselines
from ops.facts.sources import read_images
from ops.references import references
from ops.report import formats as report
from ops.report import summary
from ops.report.table import count
from ops.translate import translating

if TYPE_CHECKING:
    from ops.contract import Contract
    from ops.verdict import Verdict
    from ops.verify import Request

WATCH_FILE = "compose/development.yaml"


def build(contract: Contract, engine: Engine, image: str | None, *, cache: bool = True) -> None:
    """Build, and show what came of it."""
    result = builds.build(contract, engine, image, cache=cache)
    facts = read_images(engine, list(result.references.values()), verdicts.cache_of(contract))
    named = {name: facts[reference] for name, reference in result.references.items()}
    summary.built(result, {name: found.size for name, found in named.items() if found})


def verify(
    contract: Contract, engine: Engine, request: Request, form: str, output: str | None
) -> None:
    """Verify, and show the verdict. Raises VerifyFailed when something falls short."""
    report.known(form)
    verdict = verdicts.verify(contract, engine, request)
    report.render(verdict, form, output)
    _must_hold(verdict)


def _must_hold(verdict: Verdict) -> None:
    if not verdict.holds:
        raise VerifyFailed(
            "verifying", count(verdict), hint="`./inv explain ID` says why a check matters"
        )


def up(contract: Contract, engine: Engine) -> None:
    """Lint → build → verify static → start → wait for health → verify running → URLs."""
    engine.require()
    lints.lint(contract, engine)
    build(contract, engine, None)
    console.step("verify the images")
    _verify_quietly(contract, engine, verdicts.Request(static=True))
    states = stack.up(contract, engine)
    console.step("verify the running stack")
    _verify_quietly(contract, engine, verdicts.Request(running=True))
    summary.urls(states)


def _verify_quietly(contract: Contract, engine: Engine, request: Request) -> None:
    """One line where all holds; the whole table where not."""
    verdict = verdicts.verify(contract, engine, request)
    if not verdict.holds:
        report.render(verdict, "table", None)
    _must_hold(verdict)
    console.done(f"verify: {count(verdict)}")


def size(contract: Contract, engine: Engine, image: str | None, *, record: bool = False) -> None:
    """Where the bytes are, and what changed; or record what is now."""
    request = verdicts.Request(image=image, static=True, only="size.budget")
    subjects = verdicts.verify(contract, engine, request).subjects
    if record:
        seen = {subject.name: subject.image for subject in subjects if subject.image}
        path = write_baselines(contract, seen)
        console.done(f"recorded in {path.relative_to(contract.root)}: {', '.join(seen)}")
        return
    summary.sizes(subjects)


def watch(contract: Contract, engine: Engine) -> None:
    """Rebuild and replace a service when its code changes (docker compose watch)."""
    file = contract.root / WATCH_FILE
    if not file.exists():
        raise UsageError("watching the code", f"there is no {WATCH_FILE}")
    variables = builds.build_variables(contract, bases.resolve(contract, engine))
    watching = Engine((*engine.compose_files, file), engine.project, variables)
    console.step("watch (Ctrl-C ends it; the stack goes on)")
    with (
        translating("watching the code"),
        environment(variables),
        contextlib.suppress(KeyboardInterrupt),
    ):
        watching.foreground("watch")


def clean(contract: Contract, engine: Engine, *, base: bool) -> None:
    """Remove the stack, the contract's images, and the facts that were kept of them."""
    engine.require()
    made = list(references(contract, engine).values())
    stack.down(engine, volumes=True)
    if base:
        made.append(contract.base.made)
    for reference in made:
        if engine.image(reference):
            console.say(f"  removing {reference}")
            with translating(f"removing the image {reference}"):
                engine.docker.image.remove(reference, force=True)
    shutil.rmtree(Path(verdicts.cache_of(contract)), ignore_errors=True)
    console.done("clean")
