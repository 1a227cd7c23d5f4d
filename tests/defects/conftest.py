"""The corpus in the engine: built in one graph, read by several threads, removed at the end."""

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
from tests.defects.reading import Reader, Seen, costly, longest_first


@pytest.fixture(scope="session")
def base_image() -> BaseImage:
    """The base of the images, and of the probes."""
    terms = contract.load(corpus.ROOT)
    engine = Engine((terms.compose_file,))
    try:
        engine.require()
        return resolve(terms, engine)
    except ImageproofError as error:
        reason = f"the defects need a Docker engine: {error} ({error.hint})"
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def projects(request, base_image: BaseImage) -> Iterator[dict[str, Project]]:
    """Each case that a test of this run asks for, laid out and built; the good one always."""
    specs = (getattr(item, "callspec", None) for item in request.session.items)
    given = [spec.params.get("case") for spec in specs if spec]
    # In a run of everything, tests of other folders have a "case" of their own.
    asked = {case for case in given if isinstance(case, Case)}
    cases = [case for case in corpus.collect() if case in asked or not case.check]
    with corpus.in_engine(cases, base_image.reference, base_image.digest) as projects:
        yield {project.case.name: project for project in projects}


@pytest.fixture(scope="session")
def see(projects: dict[str, Project], tmp_path_factory) -> Iterator[Callable[[Case], Seen]]:
    """What was seen of a case. All are being read from the first question on."""
    reader = Reader(tmp_path_factory.mktemp("cache"))
    good, *others = projects.values()
    reader.record(good, others)
    # Two builds of a case do not run beside those of another: they wait in a row of their own.
    with ThreadPoolExecutor(4) as pool, ThreadPoolExecutor(1) as builds:
        reading: dict[str, Future[Seen]] = {}
        for project in sorted(projects.values(), key=lambda project: longest_first(project.case)):
            row = builds if costly(project.case) == ["build"] else pool
            reading[project.case.name] = row.submit(reader.read, project)
        yield lambda case: reading[case.name].result()
        for row in (pool, builds):
            row.shutdown(wait=False, cancel_futures=True)
