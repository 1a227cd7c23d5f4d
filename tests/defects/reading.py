"""Facts of the corpus's cases, read as `./inv verify` reads them."""

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
from imageproof.image.facts import ImageFacts
from imageproof.image.sizes import sizes_of
from imageproof.image.sources import read_images
from imageproof.project.project_files import read_project_files
from imageproof.project.size_baseline import write_baselines
from imageproof.runtime.containers import read_containers
from imageproof.runtime.programs import run_programs
from imageproof.stack import compose
from imageproof.verify.judge import ProjectFacts, Result, Subject, judge, judge_project
from imageproof.verify.run import read_project, with_image_checks
from tests.defects.corpus import GOOD, Case, Project, reference

MAX_START_SECONDS = 60.0
# Facts that take a second, seconds or minutes, fastest first. A case reads them only if its check
# needs them, and only for the image with the defect; the good project reads all.
COSTLY_NEEDS = ("programs", "containers", "build", "trial", "teardown")
PLANTED_IMAGE = "web"


@dataclass(frozen=True)
class CaseFacts:
    """A case with its facts."""

    case: Case
    contract: Contract
    subjects: tuple[Subject, ...]
    project: ProjectFacts

    def judge(self, checks: Iterable[Check]) -> list[Result]:
        """Return the results of the checks."""
        chosen = list(checks)
        results = [result for subject in self.subjects for result in judge(chosen, subject)]
        return results + list(judge_project(chosen, self.contract, self.project))


def costly_needs(case: Case) -> list[str]:
    """Return the costly facts that a case reads."""
    return [need for need in COSTLY_NEEDS if not case.check or REGISTRY[case.check].needs == need]


def slowest_first(case: Case) -> int:
    """Return a key that sorts cases by their costly facts, such as a stack trial, slowest first."""
    return -sum(COSTLY_NEEDS.index(need) + 1 for need in costly_needs(case))


@dataclass
class Reader:
    """Reads cases, several at a time. Facts that cases share are read once."""

    cache: Path
    images: dict[str, ImageFacts | None] = field(default_factory=dict)
    projects: dict[Any, Future[ProjectFacts]] = field(default_factory=dict)
    build_lock: threading.Lock = field(default_factory=threading.Lock)

    def record_sizes(self, good: Project, others: Sequence[Project]) -> None:
        """Read all images in one stream, and give every project the sizes of the good images.

        The sizes depend on the base, so they are not committed.
        """
        good_contract = contract.load(good.root)
        tags = good.tags(good_contract)
        planted = [project.reference for project in others]
        self.images = read_images(Engine(()), [*tags.values(), *planted], self.cache)
        file = write_baselines(
            good_contract, {name: sizes_of(self._image(tag)) for name, tag in tags.items()}
        )
        for project in others:
            shutil.copy(file, project.root)

    def read(self, project: Project) -> CaseFacts:
        """Read the cheap facts of a case, and the costly ones that its check needs."""
        case_contract = contract.load(project.root)
        engine = Engine((case_contract.compose_file,), project.stack, program=project.client)
        tags = project.tags(case_contract)
        today = datetime.now(tz=UTC).date()
        subjects = [
            Subject(
                name,
                tags[name],
                service,
                replace(
                    self._image(tags[name]),
                    project_files=read_project_files(case_contract, name, today),
                ),
            )
            for name, service in case_contract.images.items()
        ]
        images = {subject.name: subject.image for subject in subjects}
        project_facts = replace(self._project(project, case_contract, engine), images=images)
        project_facts = with_image_checks(project_facts, subjects)
        facts = CaseFacts(project.case, case_contract, tuple(subjects), project_facts)
        return self._add_costly(project, engine, facts)

    def _image(self, tag: str) -> ImageFacts:
        image = self.images[tag]
        assert image, f"there is no image {tag}"
        return image

    def _project(self, project: Project, case_contract: Contract, engine: Engine) -> ProjectFacts:
        """Read the project's files, once for all projects with equal files.

        The names of stack and image do not count. Compose takes two processes to read a file.
        """
        compose_text = case_contract.compose_file.read_text().replace(project.stack, "")
        if project.case.has_image:
            good_image = reference(PLANTED_IMAGE, Case(GOOD))
            compose_text = compose_text.replace(project.reference, good_image)
        files = (case_contract.stack_file, case_contract.root / case_contract.env_example)
        texts = [file.read_text() for file in files if file and file.exists()]
        settings = [image.environment for image in case_contract.images.values()]
        key = (compose_text, *texts, case_contract.stack, repr(settings), project.client)
        own: Future[ProjectFacts] = Future()
        first = self.projects.setdefault(key, own)  # atomic
        if first is own:
            try:
                needs = {"variables", "compose", "stack", "updates"}
                own.set_result(read_project(case_contract, engine, needs))
            except BaseException as error:
                own.set_exception(error)
                raise
        return first.result()

    def _add_costly(self, project: Project, engine: Engine, facts: CaseFacts) -> CaseFacts:
        needs = set(costly_needs(project.case))
        case_contract, subjects, project_facts = facts.contract, facts.subjects, facts.project
        names = [PLANTED_IMAGE] if project.case.check else list(case_contract.images)
        if "programs" in needs:
            runs = {
                s.name: run_programs(engine, s.reference, s.contract)
                for s in subjects
                if s.name in names
            }
            subjects = tuple(replace(s, programs=runs.get(s.name)) for s in subjects)
        if "containers" in needs:
            subjects = _with_containers(project, case_contract, subjects, names)
        if needs & {"trial", "teardown"}:
            tried = names if "trial" in needs else []
            trials, teardown = run_stack_trial(
                case_contract, engine, tried, teardowns="teardown" in needs
            )
            subjects = tuple(replace(s, trial=trials.get(s.name)) for s in subjects)
            project_facts = replace(project_facts, teardown=teardown)
        if "build" in needs:
            with self.build_lock:  # bake runs in the project's folder
                builds = build_twice(case_contract, engine, names)
            subjects = tuple(replace(s, build=builds.get(s.name)) for s in subjects)
        return replace(facts, subjects=subjects, project=project_facts)


def _with_containers(
    project: Project,
    case_contract: Contract,
    subjects: tuple[Subject, ...],
    names: Sequence[str],
) -> tuple[Subject, ...]:
    # Verify knows only the compose file: it must find whatever the override changed.
    engine = Engine((case_contract.compose_file,), project.stack)
    services = {name: case_contract.images[name] for name in names}
    with started(project, [service.service for service in services.values()]):
        containers = read_containers(engine, services, os.environ["PYTHON_BASE"])
    return tuple(replace(s, containers=containers.get(s.name)) for s in subjects)


@contextlib.contextmanager
def started(project: Project, services: list[str] | None = None) -> Iterator[Engine]:
    """Start the stack with its override, or services of it; remove it at the end."""
    engine = Engine(project.compose_files, project.stack)
    try:
        engine.compose("starting the stack", "up", "--detach", "--no-build", *(services or ()))
        _wait_for_health(engine)
        yield engine
    finally:
        compose.down(engine, volumes=True, quiet=True)


def _wait_for_health(engine: Engine) -> None:
    """Wait until no container is starting, up to a limit; the checks report the result."""
    starting = [
        "--filter=health=starting",
        f"--filter=label=com.docker.compose.project={engine.project}",
    ]
    deadline = time.monotonic() + MAX_START_SECONDS
    while engine.query("waiting for the stack", "container", "ls", "--quiet", *starting):
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)
