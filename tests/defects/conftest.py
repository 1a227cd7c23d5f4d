"""The corpus in the engine: built at the start, read by several threads, removed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from imageproof import contract
from imageproof.build.base_image import BaseImage, resolve
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError
from tests.defects import corpus
from tests.defects.corpus import Case, Project
from tests.defects.reading import CaseFacts, Reader, costly_needs, slowest_first


@pytest.fixture(scope="session")
def base_image() -> BaseImage:
    """Return the base of the images and of the probes."""
    project = contract.load(corpus.ROOT)
    engine = Engine((project.compose_file,))
    try:
        engine.require_answer()
        return resolve(project, engine)
    except ImageproofError as error:
        reason = f"the defects need a Docker engine: {error} ({error.hint})"
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def projects(request, base_image: BaseImage) -> Iterator[dict[str, Project]]:
    """Build the good project and each case that the collected tests need, by name."""
    callspecs = (getattr(item, "callspec", None) for item in request.session.items)
    values = [spec.params.get("case") for spec in callspecs if spec]
    # Tests of other folders have a parameter of that name too.
    needed = {value for value in values if isinstance(value, Case)}
    cases = [case for case in corpus.collect() if case in needed or not case.check]
    with corpus.built(cases, base_image.reference, base_image.digest) as projects:
        yield {project.case.name: project for project in projects}


@pytest.fixture(scope="session")
def facts_of(
    projects: dict[str, Project], tmp_path_factory
) -> Iterator[Callable[[Case], CaseFacts]]:
    """Start to read all cases; return a function that waits for the facts of one."""
    reader = Reader(tmp_path_factory.mktemp("cache"))
    good, *others = projects.values()
    reader.record_sizes(good, others)
    # The double builds of two cases do not run at the same time.
    with ThreadPoolExecutor(4) as pool, ThreadPoolExecutor(1) as double_builds:
        results: dict[str, Future[CaseFacts]] = {}
        for project in sorted(projects.values(), key=lambda project: slowest_first(project.case)):
            executor = double_builds if costly_needs(project.case) == ["build"] else pool
            results[project.case.name] = executor.submit(reader.read, project)
        yield lambda case: results[case.name].result()
        for executor in (pool, double_builds):
            executor.shutdown(wait=False, cancel_futures=True)
