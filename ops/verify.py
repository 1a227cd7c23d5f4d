"""Contract and facts in, results out: every check on every image, and on the stack that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ops import base
from ops.checks import REGISTRY, Check, Finding, find
from ops.errors import ContractError, UsageError
from ops.facts.layers import read_image
from ops.facts.running import ContainerFacts, ProgramRun, read_containers, run_programs
from ops.facts.variables import VariableFacts, read_variables
from ops.references import references

if TYPE_CHECKING:
    from ops.contract import Contract, Image
    from ops.engine import Engine
    from ops.facts.image import ImageFacts

Status = Literal["pass", "fail", "unknown", "waived", "not run"]
PROJECT = "project"
CACHE = ".ops/cache"


@dataclass(frozen=True)
class Result:
    """What one check said of one subject: an image, a service's containers, or the project."""

    check: Check
    subject: str
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""  # of a waiver, or of not having run

    @property
    def fails(self) -> bool:
        """Whether the run fails because of it: an unknown is never a pass."""
        return self.status in ("fail", "unknown")


@dataclass(frozen=True)
class Subject:
    """An image of the contract, with all facts that were read of it; None: not looked at."""

    name: str
    reference: str
    terms: Image
    image: ImageFacts | None = None
    programs: Mapping[str, ProgramRun] | None = None
    containers: Sequence[ContainerFacts] | None = None


@dataclass(frozen=True)
class Verdict:
    """All results, and whether everything holds."""

    results: tuple[Result, ...]
    subjects: tuple[Subject, ...]

    @property
    def holds(self) -> bool:
        """No check failed, none could not look, and at least one did look."""
        looked = any(result.status in ("pass", "waived") for result in self.results)
        return looked and not any(result.fails for result in self.results)


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    image: str | None = None
    reference: str | None = None  # judge this image by the contract of `image`
    only: str | None = None
    static: bool = False  # start no container, look at no running one
    running: bool = False  # the stack must run: looking away is no answer


def parse_request(image: str | None, only: str | None, *, static: bool) -> Request:
    """`--image NAME`, or `--image NAME=REF`. Raises UsageError for a check that is none."""
    if only:
        find(only)
    name, given, reference = (image or "").partition("=")
    if given and not (name and reference):
        raise UsageError("reading the command line", f"{image!r} is not NAME=REF")
    return Request(name or None, reference or None, only, static)


def verify(contract: Contract, engine: Engine, request: Request) -> Verdict:
    """Read the facts and ask the checks. Raises MachineError without an engine, UsageError for
    an image that the contract or the engine does not have."""
    images = contract.select(request.image)
    _known_waivers(images)
    engine.require()
    checks = [c for c in REGISTRY.values() if request.only in (None, c.id)]
    tags = references(contract, engine, images)
    subjects = [
        _look(contract, engine, request, Subject(name, request.reference or tags[name], terms))
        for name, terms in images.items()
    ]
    if _stack_counts(engine, request):
        probe = base.local(contract, engine)
        reference = probe.reference if probe else None
        subjects = [
            replace(s, containers=read_containers(engine, s.terms.service, reference))
            for s in subjects
        ]
    results = [r for subject in subjects for r in judge(checks, subject)]
    if request.image is None and any(check.looks == "project" for check in checks):
        results += judge_project(checks, contract, read_variables(contract, engine))
    return Verdict(tuple(results), tuple(subjects))


def _known_waivers(images: Mapping[str, Image]) -> None:
    """Raise ContractError for a waiver that can waive nothing."""
    waivable = [check.id for check in REGISTRY.values() if check.looks != "project"]
    for name, terms in images.items():
        for id_ in terms.waivers:
            if id_ not in waivable:
                raise ContractError(
                    "reading the contract",
                    f"tool.ops.images.{name}.waivers: there is no check {id_!r} of an image",
                    hint=f"the checks are: {', '.join(sorted(waivable))}",
                )


def _stack_counts(engine: Engine, request: Request) -> bool:
    """Whether the stack is looked at: where any of it runs, a service that does not is a fault."""
    if request.static or request.reference:
        return False
    return request.running or bool(engine.containers(stopped=False))


def _look(contract: Contract, engine: Engine, request: Request, subject: Subject) -> Subject:
    """Read the facts of one image, and run its programs where the request allows it."""
    facts = read_image(engine, subject.reference, contract.root / CACHE)
    if facts is None:
        raise UsageError(
            f"verifying {subject.name}",
            f"the engine has no image {subject.reference}",
            hint="`./inv build` makes it",
        )
    programs = None if request.static else run_programs(engine, subject.reference, subject.terms)
    return replace(subject, image=facts, programs=programs)


def judge(checks: Sequence[Check], subject: Subject) -> Iterator[Result]:
    """Ask each check that looks at an image or its containers."""
    facts: dict[str, Any] = {
        "image": subject.image,
        "programs": subject.programs,
        "containers": subject.containers,
    }
    away = {
        "programs": "no container is started with --static",
        "containers": "the stack is not running, or was not asked about",
    }
    for check in checks:
        if check.looks == "project":
            continue
        if facts[check.looks] is None:
            yield Result(check, subject.name, "not run", reason=away.get(check.looks, ""))
            continue
        findings = tuple(check.ask(subject.terms, facts[check.looks]))
        yield _result(check, subject.name, findings, subject.terms.waivers.get(check.id, ""))


def judge_project(
    checks: Sequence[Check], contract: Contract, facts: VariableFacts
) -> Iterator[Result]:
    """Ask each check that looks at the project as a whole."""
    for check in checks:
        if check.looks == "project":
            yield _result(check, PROJECT, tuple(check.ask(contract, facts)))


def _result(check: Check, subject: str, findings: tuple[Finding, ...], waiver: str = "") -> Result:
    if not findings:
        if waiver:
            # A waiver that waives nothing hides the next failure.
            stale = Finding(f"the waiver is no longer needed, remove it: {waiver}")
            return Result(check, subject, "fail", (stale,))
        return Result(check, subject, "pass")
    if waiver:
        return Result(check, subject, "waived", findings, waiver)
    status: Status = "unknown" if all(finding.unknown for finding in findings) else "fail"
    return Result(check, subject, status, findings)


def cache_of(contract: Contract) -> Path:
    """Where the facts of layers are kept."""
    return contract.root / CACHE
