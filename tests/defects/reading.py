"""Facts of a case of the corpus, read by the library as `./inv verify` reads them."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imageproof import contract
from imageproof.checks import REGISTRY, Check
from imageproof.contract import Contract
from imageproof.deep.double_build import build_twice
from imageproof.deep.stack_trial import run_stack_trial
from imageproof.docker.client import Engine
from imageproof.docker.errors import translating
from imageproof.image.facts import ImageFacts
from imageproof.image.sizes import sizes_of
from imageproof.image.sources import read_images
from imageproof.project.record import read_record
from imageproof.project.size_baseline import write_baselines
from imageproof.runtime.containers import read_containers
from imageproof.runtime.programs import run_programs
from imageproof.stack import compose
from imageproof.verify.judge import ProjectFacts, Result, Subject, judge, judge_project
from imageproof.verify.run import read_project
from tests.defects.corpus import GOOD, Case, Project, reference

SETTLED_SECONDS = 60.0
# Looked at only for a check that looks there, and of the image alone in which the fault lies: a
# second, seconds, then minutes. Of the good project all of it is looked at.
COSTLY = ("programs", "containers", "build", "trial", "teardown")
PLANTED = "web"


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
    return [look for look in COSTLY if not case.check or REGISTRY[case.check].needs == look]


def longest_first(case: Case) -> int:
    """To sort by: what waits the longest, as a copy of a stack that is frozen, comes first."""
    return -sum(COSTLY.index(look) + 1 for look in costly(case))


@dataclass
class Reader:
    """Reads cases, several at once; what two of them share is read once."""

    cache: Path
    images: dict[str, ImageFacts | None] = field(default_factory=dict)
    projects: dict[Any, Future[ProjectFacts]] = field(default_factory=dict)
    building: threading.Lock = field(default_factory=threading.Lock)

    def record(self, good: Project, others: Sequence[Project]) -> None:
        """Read all images in one stream, and record the sizes of the good ones, for every project:
        they differ by base."""
        terms = contract.load(good.root)
        tags = good.tags(terms)
        planted = [project.reference for project in others]
        self.images = read_images(Engine(()), [*tags.values(), *planted], self.cache)
        sizes = write_baselines(
            terms, {name: sizes_of(self.images[tag]) for name, tag in tags.items()}
        )
        for project in others:
            shutil.copy(sizes, project.root)

    def read(self, project: Project) -> Seen:
        """What costs little, always; a stack, a trial or two builds where its check looks there."""
        terms = contract.load(project.root)
        engine = Engine((terms.compose_file,), project.stack, client=project.client)
        tags = project.tags(terms)
        today = datetime.now(tz=UTC).date()
        subjects = [
            Subject(
                name,
                tags[name],
                image,
                replace(self._image(tags[name]), record=read_record(terms, name, today)),
            )
            for name, image in terms.images.items()
        ]
        images = {subject.name: subject.image for subject in subjects}
        facts = replace(self._project(project, terms, engine), images=images)
        seen = Seen(project.case, terms, tuple(subjects), facts)
        return self._costly(project, engine, seen)

    def _image(self, tag: str) -> ImageFacts:
        found = self.images[tag]
        assert found, f"there is no image {tag}"
        return found

    def _project(self, project: Project, terms: Contract, engine: Engine) -> ProjectFacts:
        """What its files say: read once of all projects whose files say the same, but for the name
        of the stack and of the image. A reading of a compose file takes two processes."""
        compose = terms.compose_file.read_text().replace(project.stack, "")
        if project.case.has_image:
            compose = compose.replace(project.reference, reference(PLANTED, Case(GOOD)))
        example = terms.root / terms.env_example
        texts = [file.read_text() for file in (terms.stack_file, example) if file and file.exists()]
        settings = [image.environment for image in terms.images.values()]
        key = (compose, *texts, terms.stack, repr(settings), project.client)
        mine: Future[ProjectFacts] = Future()
        first = self.projects.setdefault(key, mine)  # atomic
        if first is mine:
            try:
                mine.set_result(read_project(terms, engine, {"variables", "compose", "stack"}))
            except BaseException as error:
                mine.set_exception(error)
                raise
        return first.result()

    def _costly(self, project: Project, engine: Engine, seen: Seen) -> Seen:
        looks = set(costly(project.case))
        terms, subjects, facts = seen.contract, seen.subjects, seen.project
        names = [PLANTED] if project.case.check else list(terms.images)
        if "programs" in looks:
            asked = [s for s in subjects if s.name in names]
            ran = {s.name: run_programs(engine, s.reference, s.contract) for s in asked}
            subjects = tuple(replace(s, programs=ran.get(s.name)) for s in subjects)
        if "containers" in looks:
            subjects = _running(project, terms, subjects, names)
        if looks & {"trial", "teardown"}:
            tried = names if "trial" in looks else []
            trials, teardown = run_stack_trial(terms, engine, tried, teardowns="teardown" in looks)
            subjects = tuple(replace(s, trial=trials.get(s.name)) for s in subjects)
            facts = replace(facts, teardown=teardown)
        if "build" in looks:
            with self.building:  # bake is run in the project's folder
                builds = build_twice(terms, engine, names)
            subjects = tuple(replace(s, build=builds.get(s.name)) for s in subjects)
        return replace(seen, subjects=subjects, project=facts)


def _running(
    project: Project, terms: Contract, subjects: tuple[Subject, ...], names: Sequence[str]
) -> tuple[Subject, ...]:
    # Verify knows the stack's file alone: what else was laid over it is what it has to find.
    engine = Engine((terms.compose_file,), project.stack)
    with started(project, [terms.images[name].service for name in names]):
        images = {name: terms.images[name] for name in names}
        found = read_containers(engine, images, os.environ["PYTHON_BASE"])
    return tuple(replace(s, containers=found.get(s.name)) for s in subjects)


@contextlib.contextmanager
def started(project: Project, services: list[str] | None = None) -> Iterator[Engine]:
    """The stack, or services of it, with what is laid over them: started and settled; removed
    whatever happens."""
    engine = Engine(project.compose_files, project.stack)
    try:
        with translating("starting the stack"):
            engine.docker.compose.up(services, detach=True, no_build=True, quiet=True)
        _settle(engine)
        yield engine
    finally:
        compose.down(engine, volumes=True, quiet=True)


def _settle(engine: Engine) -> None:
    """Wait, to a bound, until no health check is undecided: what it is then, the checks tell."""
    undecided = [
        "--filter=health=starting",
        f"--filter=label=com.docker.compose.project={engine.project}",
    ]
    deadline = time.monotonic() + SETTLED_SECONDS
    while engine.query("waiting for the stack", "container", "ls", "--quiet", *undecided):
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)
