"""One verification: collect the facts that the checks need, judge them, return the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeAlias

from imageproof.build import base_image
from imageproof.checks import choose_checks
from imageproof.docker.image_tags import dockerfiles, image_tags
from imageproof.errors import StackFailed, UsageError
from imageproof.image.sources import is_outside_engine, read_images
from imageproof.project.compose_file import read_compose_file
from imageproof.project.env_vars import read_variables
from imageproof.project.project_files import read_project_files
from imageproof.project.swarm_file import engine_for_stack, read_stack_files
from imageproof.project.update_settings import CheckTimes, read_update_settings
from imageproof.runtime.containers import ContainerFacts, read_containers
from imageproof.runtime.programs import ProgramFacts, run_programs
from imageproof.user_cache import open_folder
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
    from imageproof.checks.check import FactKind
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.teardown import TeardownFacts
    from imageproof.docker.client import Engine
    from imageproof.verify.request import Request

ServiceContracts: TypeAlias = "Mapping[str, ServiceContract]"  # by image name


def verify(contract: Contract, engine: Engine, request: Request) -> Verdict:
    """Collect the facts that the checks need, and judge them.

    Raises:
        ContractError: A waiver names a check that does not exist.
        MachineError: No engine answers.
        UsageError: The contract has no image of that name, or the engine lacks it.
    """
    services = contract.select(request.image)
    require_known_waivers(contract)
    checks = choose_checks(request.only)
    project: ProjectFacts | None = None
    if request.stack:
        checks = [check for check in checks if check.needs == "containers"]
        subjects = collect_tasks(contract, engine, request.stack, services)
    else:
        needs = {check.needs for check in checks}
        subjects, project = collect_facts(contract, engine, request, services, needs)
    reasons = request.not_run_reasons
    results = [result for subject in subjects for result in judge(checks, subject, reasons)]
    if project:
        results += judge_project(checks, contract, project, reasons)
    return Verdict(
        tuple(results), tuple(subjects), _source_files(contract, engine, services, request)
    )


def collect_facts(
    contract: Contract,
    engine: Engine,
    request: Request,
    services: ServiceContracts,
    needs: AbstractSet[FactKind],
) -> tuple[list[Subject], ProjectFacts | None]:
    """Read the facts of these images, and of the project unless one image is requested."""
    whole_project = request.image is None
    with ThreadPoolExecutor(1) as pool:
        # Both wait for docker processes most of the time.
        pending = pool.submit(read_project, contract, engine, needs) if whole_project else None
        subjects = _subjects(contract, engine, request, services)
        if needs & {"image", "images", "updates"}:
            subjects = _with_images(contract, engine, subjects, request.platform)
        subjects = _with_runtime(contract, engine, request, subjects, needs)
        project = pending.result() if pending else None
    teardown = None
    if request.deep and request.reference is None:
        subjects, teardown = _run_deep(contract, engine, subjects, needs)
    if project:
        images = {subject.name: subject.image for subject in subjects if subject.image}
        project = replace(project, images=images or None, teardown=teardown)
        project = with_image_checks(project, subjects)
    return subjects, project


def collect_tasks(
    contract: Contract, engine: Engine, stack: str, services: ServiceContracts
) -> list[Subject]:
    """Read the tasks of a Swarm stack on this engine's node.

    Raises:
        UsageError: No task of the stack runs on this node.
    """
    stack_engine = engine_for_stack(contract, engine, stack)
    tasks = read_containers(stack_engine, services, _probe_image(contract, engine))
    if not any(tasks.values()):
        raise UsageError(
            f"verifying the stack {stack}",
            "none of its tasks runs on this engine's node",
            hint="`./inv status` lists the nodes; set DOCKER_HOST or DOCKER_CONTEXT to choose one",
        )
    # A service without a task on this node is not judged: its tasks run on other nodes.
    return [
        Subject(name, service.service, service, containers=tasks[name] or None)
        for name, service in services.items()
    ]


def read_project(contract: Contract, engine: Engine, needs: AbstractSet[FactKind]) -> ProjectFacts:
    """Read the facts of the project's files: environment variables, compose file, Swarm file."""
    return ProjectFacts(
        variables=read_variables(contract, engine) if "variables" in needs else None,
        compose=read_compose_file(contract, engine) if "compose" in needs else None,
        stack=read_stack_files(contract, engine) if "stack" in needs else None,
        updates=read_update_settings(contract, engine) if "updates" in needs else None,
    )


def with_image_checks(project: ProjectFacts, subjects: Sequence[Subject]) -> ProjectFacts:
    """Add the health checks of the images to the facts of the Swarm file."""
    if not project.updates:
        return project
    checks = {
        subject.contract.service: CheckTimes(check.interval, check.timeout, check.retries)
        for subject in subjects
        if subject.image and (check := subject.image.healthcheck)
    }
    return replace(project, updates=project.updates.with_image_checks(checks))


def today() -> date:
    """Return the date by which an image's base is judged: UTC, the same on every machine."""
    return datetime.now(tz=UTC).date()


def _subjects(
    contract: Contract, engine: Engine, request: Request, services: ServiceContracts
) -> list[Subject]:
    """Return a subject without facts for each image."""
    if request.reference and is_outside_engine(request.reference):
        if not request.static:
            raise UsageError(
                f"verifying {request.reference}",
                "an image in a file, a folder or a registry cannot be run",
                hint="add --static; or `docker load` or `docker pull` it, and name its tag",
            )
        references = dict.fromkeys(services, request.reference)
    else:
        engine.require_answer()
        if request.reference:
            references = dict.fromkeys(services, request.reference)
        else:
            references = image_tags(contract, engine, services)
    return [Subject(name, references[name], service) for name, service in services.items()]


def _with_images(
    contract: Contract, engine: Engine, subjects: Sequence[Subject], platform: str | None
) -> list[Subject]:
    """Add the facts of the images to the subjects. Raises UsageError if one does not exist."""
    references = [subject.reference for subject in subjects]
    images = read_images(engine, references, open_folder(contract.root), platform)
    date_of_run = today()
    with_images = []
    for subject in subjects:
        image = images[subject.reference]
        if image is None:
            raise UsageError(
                f"verifying {subject.name}",
                f"the engine has no image {subject.reference}",
                hint="run `./inv build` first",
            )
        project_files = read_project_files(contract, subject.name, date_of_run)
        with_images.append(replace(subject, image=replace(image, project_files=project_files)))
    return with_images


def _with_runtime(
    contract: Contract,
    engine: Engine,
    request: Request,
    subjects: Sequence[Subject],
    needs: AbstractSet[FactKind],
) -> list[Subject]:
    """Add the facts of the images' programs and of the stack's containers to the subjects."""
    pending_programs = pending_containers = None
    with ThreadPoolExecutor(2) as pool:  # both wait for the engine most of the time
        if "programs" in needs and not request.static:
            pending_programs = pool.submit(_programs_by_name, engine, subjects)
        if "containers" in needs and not (request.static or request.reference):
            pending_containers = pool.submit(
                _containers_by_name, contract, engine, request, subjects
            )
    programs = pending_programs.result() if pending_programs else {}
    containers = pending_containers.result() if pending_containers else {}
    return [
        replace(
            subject,
            programs=programs.get(subject.name),
            containers=containers.get(subject.name),
        )
        for subject in subjects
    ]


def _programs_by_name(engine: Engine, subjects: Sequence[Subject]) -> dict[str, ProgramFacts]:
    with ThreadPoolExecutor(len(subjects)) as pool:
        programs = pool.map(lambda s: run_programs(engine, s.reference, s.contract), subjects)
        names = [subject.name for subject in subjects]
        return dict(zip(names, programs, strict=True))


def _containers_by_name(
    contract: Contract, engine: Engine, request: Request, subjects: Sequence[Subject]
) -> dict[str, tuple[ContainerFacts, ...]]:
    """Read the containers of each service; return nothing if the whole stack is stopped.

    If part of the stack runs, a service without a container is a violation.

    Raises:
        StackFailed: The whole stack is stopped, and the request needs it.
    """
    if not engine.containers(stopped=False):
        if not request.running:
            return {}
        raise StackFailed(
            "verifying the running stack",
            "the stack is not running",
            hint="`./inv up` starts it; --static verifies the images without it",
        )
    services = {subject.name: subject.contract for subject in subjects}
    return read_containers(engine, services, _probe_image(contract, engine))


def _probe_image(contract: Contract, engine: Engine) -> str | None:
    """Return the local base image, whose Python runs the probe; None if there is none."""
    base = base_image.find_local(contract, engine)
    return base.reference if base else None


def _run_deep(
    contract: Contract, engine: Engine, subjects: list[Subject], needs: AbstractSet[FactKind]
) -> tuple[list[Subject], TeardownFacts | None]:
    """Try copies of the stack, and build twice without cache; both take minutes.

    Returns:
        The subjects with the facts of both, and the facts of removing the copies.
    """
    from imageproof.deep.double_build import build_twice
    from imageproof.deep.stack_trial import run_stack_trial

    teardown = None
    names = [subject.name for subject in subjects]
    if needs & {"trial", "teardown"}:
        trials, teardown = run_stack_trial(
            contract,
            engine,
            names if "trial" in needs else [],
            teardowns="teardown" in needs,
        )
        subjects = [replace(subject, trial=trials.get(subject.name)) for subject in subjects]
    if "build" in needs:
        builds = build_twice(contract, engine, names)
        subjects = [replace(subject, build=builds[subject.name]) for subject in subjects]
    return subjects, teardown


def _source_files(
    contract: Contract, engine: Engine, services: ServiceContracts, request: Request
) -> SourceFiles:
    dockerfile_by_image: Mapping[str, str] = {}
    # An image outside the engine may be built from another Dockerfile.
    if not (request.reference and is_outside_engine(request.reference)):
        dockerfile_by_image = dockerfiles(contract, engine, services)
    return SourceFiles(contract.root, contract.compose, contract.env_example, dockerfile_by_image)
