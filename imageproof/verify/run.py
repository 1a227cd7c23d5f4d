"""Contract and Docker's answers in, a verdict out: reads the facts that the checks look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imageproof.build import base_image
from imageproof.checks import choose
from imageproof.docker.compose_images import dockerfiles, image_tags
from imageproof.errors import UsageError
from imageproof.image.sources import is_outside_engine, read_images
from imageproof.project.compose_file import read_compose_file
from imageproof.project.env_vars import read_variables
from imageproof.project.record import read_record
from imageproof.project.swarm_file import engine_for_stack, read_stack_files
from imageproof.runtime.containers import ContainerFacts, read_containers
from imageproof.runtime.programs import ProgramFacts, run_programs
from imageproof.verify.judge import (
    ProjectFacts,
    SourceFiles,
    Subject,
    Verdict,
    judge,
    judge_project,
    require_known_waivers,
)

if TYPE_CHECKING:
    from imageproof.checks.check import Needs
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.teardown import TeardownFacts
    from imageproof.docker.client import Engine
    from imageproof.image.facts import ImageFacts


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    image: str | None = None
    reference: str | None = None  # judge this image by the contract of `image`
    only: str | None = None
    static: bool = False  # start no container, look at no running one
    running: bool = False  # the stack must run: looking away is no answer
    deep: bool = False  # build twice, and try a stack of its own
    stack: str | None = None  # a swarm's: of it, the tasks on this engine's node
    platform: str | None = None  # of a reference that holds images for several


def parse_request(
    image: str | None,
    only: str | None,
    *,
    static: bool,
    deep: bool = False,
    stack: str | None = None,
    platform: str | None = None,
) -> Request:
    """`--image NAME`, or `--image NAME=REF`. Raises UsageError for a check that is none, and for
    options that contradict one another."""
    chosen = choose(only)
    name, given, reference = (image or "").partition("=")
    if given and not (name and reference):
        raise UsageError("reading the command line", f"{image!r} is not NAME=REF")
    if static and deep:
        raise UsageError("reading the command line", "--static starts nothing, --deep does")
    of_tasks = any(check.needs == "containers" for check in chosen)
    if stack and (static or deep or reference or not of_tasks):
        raise UsageError("reading the command line", "--stack looks at what runs, and at no more")
    if platform and not is_outside_engine(reference):
        raise UsageError(
            "reading the command line",
            "--platform says which image is meant, where there may be several",
            hint="add --image NAME=docker://HOST/NAME:TAG, or =FILE or =FOLDER",
        )
    # Whoever names a deep check wants it asked.
    deep = deep or (only is not None and not static and all(check.is_deep for check in chosen))
    return Request(
        name or None,
        reference or None,
        only,
        static,
        deep=deep,
        stack=stack,
        platform=platform,
    )


def verify(contract: Contract, engine: Engine, request: Request) -> Verdict:
    """Read the facts and ask the checks. Raises MachineError without an engine, UsageError for
    an image that the contract or the engine does not have."""
    images = contract.select(request.image)
    require_known_waivers(contract)
    checks = choose(request.only)
    if request.stack:
        return _verify_tasks(contract, engine, request, request.stack)
    wanted = {check.needs for check in checks}
    whole = request.image is None
    with ThreadPoolExecutor(1) as pool:
        # Compose takes a process for each reading: meanwhile the images are read.
        project = pool.submit(read_project, contract, engine, wanted if whole else set())
        subjects = _look(contract, engine, request, images, wanted)
        facts = project.result()
    line = None
    if request.deep and request.reference is None:
        subjects, line = _read_deep(contract, engine, subjects, wanted)
    results = [r for subject in subjects for r in judge(checks, subject)]
    if whole:
        results += judge_project(
            checks, contract, replace(facts, images=_seen(subjects), line=line)
        )
    return Verdict(tuple(results), tuple(subjects), _sources(contract, engine, images, request))


def _verify_tasks(contract: Contract, engine: Engine, request: Request, stack: str) -> Verdict:
    """Of a swarm's stack, what runs on this engine's node, as what runs of a compose project.

    A service without a task here is not asked. Raises UsageError where none has one.
    """
    images = contract.select(request.image)
    checks = [check for check in choose(request.only) if check.needs == "containers"]
    own = engine_for_stack(contract, engine, stack)
    probe = base_image.find_local(contract, engine)
    found = read_containers(own, images, probe.reference if probe else None)
    if not any(found.values()):
        raise UsageError(
            f"verifying the stack {stack}",
            "no task of it runs on this engine's node",
            hint="`./inv status` shows the nodes; DOCKER_HOST or DOCKER_CONTEXT asks another",
        )
    subjects = [
        Subject(name, terms.service, terms, containers=found[name] or None)
        for name, terms in images.items()
    ]
    results = [result for subject in subjects for result in judge(checks, subject)]
    return Verdict(tuple(results), tuple(subjects), _sources(contract, engine, images, request))


def _sources(
    contract: Contract, engine: Engine, images: Mapping[str, ServiceContract], request: Request
) -> SourceFiles:
    found: Mapping[str, str] = {}
    if not (request.reference and is_outside_engine(request.reference)):
        found = dockerfiles(contract, engine, images)
    return SourceFiles(contract.root, contract.compose, contract.env_example, found)


def _look(
    contract: Contract,
    engine: Engine,
    request: Request,
    images: Mapping[str, ServiceContract],
    wanted: AbstractSet[Needs],
) -> list[Subject]:
    """Read the facts of each image, and of what runs of it, as far as checks want them."""
    subjects = _subjects(contract, engine, request, images)
    if wanted & {"image", "images"}:
        subjects = _read_images(contract, engine, subjects, request.platform)
    with ThreadPoolExecutor(2) as pool:  # both wait for the engine most of the time
        ran = stack = None
        if "programs" in wanted and not request.static:
            ran = pool.submit(_run_programs, engine, subjects)
        if "containers" in wanted and not (request.static or request.reference):
            stack = pool.submit(_read_stack, contract, engine, subjects, request)
        programs = ran.result() if ran else {}
        containers = stack.result() if stack else {}
    return [
        replace(s, programs=programs.get(s.name), containers=containers.get(s.name))
        for s in subjects
    ]


def _run_programs(engine: Engine, subjects: Sequence[Subject]) -> dict[str, ProgramFacts]:
    with ThreadPoolExecutor(len(subjects)) as pool:
        ran = pool.map(lambda s: run_programs(engine, s.reference, s.contract), subjects)
        return {subject.name: facts for subject, facts in zip(subjects, ran, strict=True)}


def _read_stack(
    contract: Contract, engine: Engine, subjects: Sequence[Subject], request: Request
) -> dict[str, tuple[ContainerFacts, ...]]:
    """Where any of the stack runs, a service that does not is a fault; none: it is not asked."""
    if not (request.running or engine.containers(stopped=False)):
        return {}
    probe = base_image.find_local(contract, engine)
    terms = {subject.name: subject.contract for subject in subjects}
    return read_containers(engine, terms, probe.reference if probe else None)


def _subjects(
    contract: Contract, engine: Engine, request: Request, images: Mapping[str, ServiceContract]
) -> list[Subject]:
    if request.reference and is_outside_engine(request.reference):
        if not request.static:
            raise UsageError(
                f"verifying {request.reference}",
                "an image in a file, a folder or a registry cannot be run",
                hint="add --static; or `docker load` or `docker pull` it, and name its tag",
            )
        tags = {str(request.image): request.reference}
    else:
        engine.require()
        named = request.reference
        tags = dict.fromkeys(images, named) if named else image_tags(contract, engine, images)
    return [Subject(name, tags[name], terms) for name, terms in images.items()]


def _read_images(
    contract: Contract, engine: Engine, subjects: list[Subject], platform: str | None
) -> list[Subject]:
    found = read_images(engine, [s.reference for s in subjects], contract.cache, platform)
    today = datetime.now(tz=UTC).date()
    seen = []
    for subject in subjects:
        facts = found[subject.reference]
        if facts is None:
            raise UsageError(
                f"verifying {subject.name}",
                f"the engine has no image {subject.reference}",
                hint="`./inv build` makes it",
            )
        record = read_record(contract, subject.name, today)
        seen.append(replace(subject, image=replace(facts, record=record)))
    return seen


def _seen(subjects: Sequence[Subject]) -> Mapping[str, ImageFacts] | None:
    found = {subject.name: subject.image for subject in subjects if subject.image}
    return found or None


def _read_deep(
    contract: Contract, engine: Engine, subjects: list[Subject], wanted: AbstractSet[Needs]
) -> tuple[list[Subject], TeardownFacts | None]:
    """Facts that cost minutes: of a stack of its own, and of two builds without cache."""
    from imageproof.deep.double_build import build_twice
    from imageproof.deep.stack_trial import run_stack_trial

    line = None
    names = [subject.name for subject in subjects]
    if wanted & {"trial", "line"}:
        tried = names if "trial" in wanted else []
        trials, line = run_stack_trial(contract, engine, tried, ends="line" in wanted)
        subjects = [replace(s, trial=trials.get(s.name)) for s in subjects]
    if "build" in wanted:
        builds = build_twice(contract, engine, names)
        subjects = [replace(s, build=builds[s.name]) for s in subjects]
    return subjects, line


def read_project(contract: Contract, engine: Engine, wanted: AbstractSet[Needs]) -> ProjectFacts:
    """What the project's own files say: variables, compose file, the swarm's file."""
    return ProjectFacts(
        variables=read_variables(contract, engine) if "variables" in wanted else None,
        compose=read_compose_file(contract, engine) if "compose" in wanted else None,
        stack=read_stack_files(contract, engine) if "stack" in wanted else None,
    )
