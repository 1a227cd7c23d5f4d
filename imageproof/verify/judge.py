"""What the checks say of the facts: results, and whether everything holds. No Docker, no files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imageproof.checks import REGISTRY, Check, Finding
from imageproof.errors import ContractError

if TYPE_CHECKING:
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.build_facts import BuildFacts
    from imageproof.deep.trial_facts import LineFacts, TrialFacts
    from imageproof.image.facts import ImageFacts
    from imageproof.project.compose_file import ComposeFacts
    from imageproof.project.env_vars import VariableFacts
    from imageproof.project.swarm_file import StackFileFacts
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.programs import ProgramFacts

Status = Literal["pass", "warning", "fail", "unknown", "waived", "not run"]
PROJECT = "project"
NOT_LOOKED_AT = {
    "image": "the image was not looked at",
    "programs": "no container is started with --static",
    "containers": "the stack is not running, or was not asked about",
    "trial": "it starts a stack of its own: `--deep` asks for it",
    "line": "it starts a stack of its own: `--deep` asks for it",
    "build": "it builds twice without cache: `--deep` asks for it",
    "images": "one image alone was looked at",
    "variables": "one image alone was looked at",
    "compose": "one image alone was looked at",
    "stack": "the contract names no file for a swarm, or one image alone was looked at",
}


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
    contract: ServiceContract
    image: ImageFacts | None = None
    programs: ProgramFacts | None = None
    containers: Sequence[ContainerFacts] | None = None
    trial: TrialFacts | None = None
    build: BuildFacts | None = None


@dataclass(frozen=True)
class ProjectFacts:
    """What is true of the project as a whole; None: not looked at."""

    images: Mapping[str, ImageFacts] | None = None
    variables: VariableFacts | None = None
    compose: ComposeFacts | None = None
    stack: StackFileFacts | None = None
    line: LineFacts | None = None


@dataclass(frozen=True)
class SourceFiles:
    """The files of the repository that findings come from, relative to its root."""

    root: Path = Path()
    compose: str = "compose.yaml"
    example: str = ".env.example"
    dockerfiles: Mapping[str, str] = field(default_factory=dict)  # by image


@dataclass(frozen=True)
class Verdict:
    """All results, and whether everything holds."""

    results: tuple[Result, ...]
    subjects: tuple[Subject, ...]
    sources: SourceFiles = SourceFiles()

    @property
    def passes(self) -> bool:
        """No check failed, none could not look, and at least one did look."""
        looked = any(result.status in ("pass", "warning", "waived") for result in self.results)
        return looked and not any(result.fails for result in self.results)


def judge(checks: Sequence[Check], subject: Subject) -> Iterator[Result]:
    """Ask each check that looks at an image, or at what runs of it."""
    for check in checks:
        if not check.of_project:
            waiver = subject.contract.waivers.get(check.id, "")
            yield _ask(check, subject.name, subject.contract, getattr(subject, check.needs), waiver)


def judge_project(
    checks: Sequence[Check], contract: Contract, facts: ProjectFacts
) -> Iterator[Result]:
    """Ask each check that looks at the project as a whole."""
    for check in checks:
        if check.of_project:
            waiver = contract.waivers.get(check.id, "")
            yield _ask(check, PROJECT, contract, getattr(facts, check.needs), waiver)


def _ask(check: Check, subject: str, terms: Any, facts: Any, waiver: str) -> Result:
    if facts is None:
        return Result(check, subject, "not run", reason=NOT_LOOKED_AT[check.needs])
    findings = tuple(check.function(terms, facts))
    if not findings:
        if waiver:
            # A waiver that waives nothing hides the next failure.
            stale = Finding(f"the waiver is no longer needed, remove it: {waiver}")
            return Result(check, subject, "fail", (stale,))
        return Result(check, subject, "pass")
    if waiver:
        return Result(check, subject, "waived", findings, waiver)
    if check.severity == "warning" or all(finding.warning for finding in findings):
        return Result(check, subject, "warning", findings)
    unknown = all(finding.unknown or finding.warning for finding in findings)
    return Result(check, subject, "unknown" if unknown else "fail", findings)


def known_waivers(contract: Contract) -> None:
    """Raise ContractError for a waiver that can waive nothing."""
    tables = [("tool.imageproof", contract.waivers, True)]
    tables += [
        (f"tool.imageproof.images.{n}", i.waivers, False) for n, i in contract.images.items()
    ]
    for place, waivers, of_project in tables:
        waivable = [check.id for check in REGISTRY.values() if check.of_project is of_project]
        for id_ in waivers:
            if id_ not in waivable:
                what = "the project" if of_project else "an image"
                raise ContractError(
                    "reading the contract",
                    f"{place}.waivers: there is no check {id_!r} of {what}",
                    hint=f"the checks are: {', '.join(sorted(waivable))}",
                )
