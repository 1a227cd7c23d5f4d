"""Facts of a case of the corpus, read by the library as `./inv verify` reads them."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops import base, contract, stack
from ops.checks import REGISTRY, Check
from ops.contract import Contract, Image
from ops.engine import Engine
from ops.facts.image import ImageFacts
from ops.facts.programs import ProgramFacts, run_programs
from ops.facts.record import read_record, write_baselines
from ops.facts.running import read_containers
from ops.facts.sources import read_images
from ops.rebuild import read_builds
from ops.references import references
from ops.translate import translating
from ops.trial import read_trial
from ops.verdict import ProjectFacts, Result, Subject, judge, judge_project
from ops.verify import read_project
from tests.defects.corpus import Case, Project

SETTLED_SECONDS = 60.0
# Looked at only for a check that looks there: seconds, then minutes.
COSTLY = ("containers", "build", "trial", "line")


@dataclass(frozen=True)
class Seen:
    """A case, and all facts that were read of it."""

    case: Case
    contract: Contract
    subjects: tuple[Subject, ...]
    project: ProjectFacts

    def judge(self, checks: Iterable[Check]) -> list[Result]:
        """What the checks say of it: no Docker, no files."""
        asked = list(checks)
        found = [result for subject in self.subjects for result in judge(asked, subject)]
        return found + list(judge_project(asked, self.contract, self.project))


def costly(case: Case) -> list[str]:
    """Which of the costly facts are read of a case; of the good project, all."""
    return [look for look in COSTLY if not case.check or REGISTRY[case.check].looks == look]


def longest_first(case: Case) -> int:
    """To sort by: what waits the longest, as a copy of a stack that is frozen, comes first."""
    return -sum(COSTLY.index(look) + 1 for look in costly(case))


@dataclass
class Reader:
    """Reads cases, several at once; what two of them share is read once."""

    cache: Path
    programs: dict[Any, Future[ProgramFacts]] = field(default_factory=dict)
    building: threading.Lock = field(default_factory=threading.Lock)

    def record(self, good: Project, others: Iterable[Project]) -> None:
        """Record the sizes of the good images, for every project: they differ by base."""
        terms = contract.load(good.root)
        tags = references(terms, Engine((terms.compose_file,), good.stack))
        found = read_images(Engine(()), list(tags.values()), self.cache)
        sizes = write_baselines(terms, {name: found[tag] for name, tag in tags.items()})
        for project in others:
            shutil.copy(sizes, project.root)

    def read(self, project: Project) -> Seen:
        """What costs little, always; a stack, a trial or two builds where its check looks there."""
        terms = contract.load(project.root)
        engine = Engine((terms.compose_file,), project.stack, client=project.client)
        tags = references(terms, engine)
        found = read_images(engine, list(tags.values()), self.cache)
        today = datetime.now(tz=UTC).date()
        subjects = [
            Subject(
                name,
                tags[name],
                image,
                replace(found[tags[name]], record=read_record(terms, name, today)),
                self._programs(engine, tags[name], found[tags[name]], image),
            )
            for name, image in terms.images.items()
        ]
        facts = replace(
            read_project(terms, engine, {"variables", "compose", "stack"}),
            images={subject.name: subject.image for subject in subjects},
        )
        seen = Seen(project.case, terms, tuple(subjects), facts)
        return self._costly(project, engine, seen)

    def _programs(self, engine: Engine, tag: str, image: ImageFacts, terms: Image) -> ProgramFacts:
        """What its programs say: asked once of all images that differ in nothing by which a
        program could tell, as a label is. The entry point is not run."""
        files = tuple(layer.diff_id for layer in image.layers)
        given = (image.user, image.workdir, *image.environment.items(), *image.volumes)
        key = (files, given, repr((terms.programs, terms.smoke, terms.writable)))
        mine: Future[ProgramFacts] = Future()
        first = self.programs.setdefault(key, mine)  # atomic
        if first is mine:
            try:
                mine.set_result(run_programs(engine, tag, terms))
            except BaseException as error:
                mine.set_exception(error)
                raise
        return first.result()

    def _costly(self, project: Project, engine: Engine, seen: Seen) -> Seen:
        looks = set(costly(project.case))
        terms, subjects, facts = seen.contract, seen.subjects, seen.project
        names = list(terms.images)
        if "containers" in looks:
            subjects = _running(project, terms, subjects)
        if looks & {"trial", "line"}:
            tried = names if "trial" in looks else []
            trials, line = read_trial(terms, engine, tried, ends="line" in looks)
            subjects = tuple(replace(s, trial=trials.get(s.name)) for s in subjects)
            facts = replace(facts, line=line)
        if "build" in looks:
            with self.building:  # bake is run in the project's folder
                builds = read_builds(terms, engine, names)
            subjects = tuple(replace(s, build=builds[s.name]) for s in subjects)
        return replace(seen, subjects=subjects, project=facts)


def _running(
    project: Project, terms: Contract, subjects: tuple[Subject, ...]
) -> tuple[Subject, ...]:
    # Verify knows the stack's file alone: what else was laid over it is what it has to find.
    engine = Engine((terms.compose_file,), project.stack)
    probe = base.local(terms, engine)
    assert probe
    with started(project):
        return tuple(
            replace(s, containers=read_containers(engine, s.terms, probe.reference))
            for s in subjects
        )


@contextlib.contextmanager
def started(project: Project) -> Iterator[Engine]:
    """The stack with what is laid over it, started and settled; removed whatever happens."""
    engine = Engine(project.compose_files, project.stack)
    try:
        with translating("starting the stack"):
            engine.docker.compose.up(detach=True, no_build=True, quiet=True)
        _settle(engine)
        yield engine
    finally:
        stack.down(engine, volumes=True, quiet=True)


def _settle(engine: Engine) -> None:
    """Wait, to a bound, until no health check is undecided: what it is then, the checks tell."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while any(state.health == "starting" for state in stack.states(engine)):
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)
