"""The corpus in the engine: built in one graph, read by several threads, removed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ops import base, contract
from ops.engine import Engine
from ops.errors import OpsError
from tests.defects import corpus
from tests.defects.corpus import Case, Project
from tests.defects.reading import Reader, Seen


@pytest.fixture(scope="session")
def base_image() -> base.BaseImage:
    """The base of the images, and of the probes."""
    terms = contract.load(corpus.ROOT)
    engine = Engine((terms.compose_file,))
    try:
        engine.require()
        return base.resolve(terms, engine)
    except OpsError as error:
        reason = f"the defects need a Docker engine: {error} ({error.hint})"
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def projects(request, base_image: base.BaseImage) -> Iterator[dict[str, Project]]:
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
    # What waits the longest comes first: a copy of a stack that is frozen, and waited for.
    longest = sorted(projects.values(), key=lambda project: reader.cost(project.case), reverse=True)
    with ThreadPoolExecutor(4) as pool:
        reading: dict[str, Future[Seen]] = {
            project.case.name: pool.submit(reader.read, project) for project in longest
        }
        yield lambda case: reading[case.name].result()
        pool.shutdown(cancel_futures=True)
