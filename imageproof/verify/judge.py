"""Results and verdict: the checks applied to facts, without Docker and without files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imageproof.checks import REGISTRY, Check, Finding
from imageproof.errors import ContractError

if TYPE_CHECKING:
    from imageproof.checks.check import FactKind
    from imageproof.contract import Contract, ServiceContract
    from imageproof.deep.double_build import BuildFacts
    from imageproof.deep.stack_trial import TrialFacts
    from imageproof.deep.teardown import TeardownFacts
    from imageproof.image.facts import ImageFacts
    from imageproof.project.compose_file import ComposeFacts
    from imageproof.project.env_vars import VariableFacts
    from imageproof.project.swarm_file import StackFileFacts
    from imageproof.project.update_settings import UpdateFacts
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.programs import ProgramFacts

Status = Literal["pass", "warning", "fail", "unknown", "waived", "not run"]
PROJECT = "project"
NO_CONTAINER = "the service has no container"
MAX_FINDINGS = 1000  # of a check for one subject
MAX_TEXT_CHARACTERS = 5000  # of a finding; a path has at most 4096
# Why a check was not run, by the kind of its missing facts. A request may know a better reason.
NOT_RUN_REASONS: Mapping[FactKind, str] = {
    "image": "the image was not read",
    "programs": "--static starts no container",
    "containers": "the stack is not running",
    "trial": "needs --deep",
    "teardown": "needs --deep",
    "build": "needs --deep",
    "images": "no image was read",
    "variables": "the project's files were not read",
    "compose": "the project's files were not read",
    "stack": "the contract names no Swarm file",
    "updates": "the contract names no Swarm file",
}


@dataclass(frozen=True)
class Result:
    """The outcome of one check for one subject: an image, or the project."""

    check: Check
    subject: str
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""  # why the findings are waived, or why the check was not run

    @property
    def fails(self) -> bool:
        """Whether this result fails the run; `unknown` does."""
        return self.status in ("fail", "unknown")

    @property
    def remedy(self) -> str:
        """What to do. The check's remedy is for a violation, not for facts that are missing."""
        if self.status != "unknown":
            return self.check.remedy
        if any(finding.message == NO_CONTAINER for finding in self.findings):
            return "`./inv up` starts the whole stack."
        return "Remove the reason that the finding names, and verify again."


@dataclass(frozen=True)
class Subject:
    """An image of the contract, and its facts of each kind; None: not collected."""

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
    """The facts of the whole project, of each kind; None: not collected."""

    images: Mapping[str, ImageFacts] | None = None
    variables: VariableFacts | None = None
    compose: ComposeFacts | None = None
    stack: StackFileFacts | None = None
    updates: UpdateFacts | None = None
    teardown: TeardownFacts | None = None


@dataclass(frozen=True)
class SourceFiles:
    """The files that findings point to, relative to the project's root."""

    root: Path = Path()
    compose: str = "compose.yaml"
    example: str = ".env.example"
    dockerfiles: Mapping[str, str] = field(default_factory=dict)  # by image


@dataclass(frozen=True)
class Verdict:
    """All results of one verification."""

    results: tuple[Result, ...]
    subjects: tuple[Subject, ...]
    sources: SourceFiles = SourceFiles()

    @property
    def passes(self) -> bool:
        """Whether at least one check was run, and no result fails."""
        any_ran = any(result.status != "not run" for result in self.results)
        return any_ran and not any(result.fails for result in self.results)


def judge(
    checks: Sequence[Check],
    subject: Subject,
    not_run_reasons: Mapping[FactKind, str] = NOT_RUN_REASONS,
) -> Iterator[Result]:
    """Yield the result of each check of an image.

    If its service has no container, one check says so and the others are not run.
    """
    missing = subject.containers is not None and not subject.containers
    reporter = _reporter(checks) if missing else None
    for check in checks:
        if not check.is_project_wide:
            waiver = subject.contract.waivers.get(check.id, "")
            facts = getattr(subject, check.needs)
            reason = not_run_reasons[check.needs]
            if check is reporter:
                finding = Finding(NO_CONTAINER, unknown=True)
                yield Result(check, subject.name, "unknown", (finding,))
                continue
            if missing and check.needs == "containers":
                facts, reason = None, NO_CONTAINER
            yield _apply(check, subject.name, subject.contract, facts, waiver, reason)


def _reporter(checks: Sequence[Check]) -> Check | None:
    """Return the check that reports a missing container: run.healthy, if it was chosen."""
    of_containers = [check for check in checks if check.needs == "containers"]
    return next((check for check in of_containers if check.id == "run.healthy"), None) or next(
        iter(of_containers), None
    )


def judge_project(
    checks: Sequence[Check],
    contract: Contract,
    facts: ProjectFacts,
    not_run_reasons: Mapping[FactKind, str] = NOT_RUN_REASONS,
) -> Iterator[Result]:
    """Yield the result of each check of the whole project."""
    for check in checks:
        if check.is_project_wide:
            waiver = contract.waivers.get(check.id, "")
            reason = not_run_reasons[check.needs]
            yield _apply(check, PROJECT, contract, getattr(facts, check.needs), waiver, reason)


def _apply(
    check: Check, subject: str, contract: Any, facts: Any, waiver: str, not_run_reason: str
) -> Result:
    if facts is None:
        return Result(check, subject, "not run", reason=not_run_reason)
    findings = _bounded(check.function(contract, facts))
    if waiver and findings:
        return Result(check, subject, "waived", findings, waiver)
    if waiver:  # it would hide the next violation
        needless = Finding(f"the waiver waives nothing, remove it: {waiver}")
        return Result(check, subject, "fail", (needless,))
    return Result(check, subject, _status(check, findings), findings)


def _bounded(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the first findings, with short texts: a hostile image can have millions of them."""
    findings = tuple(findings)
    shown, rest = findings[:MAX_FINDINGS], findings[MAX_FINDINGS:]
    if rest:
        unknown = all(finding.unknown or finding.warning for finding in rest)
        warning = all(finding.warning for finding in rest)
        more = Finding(f"and {len(rest):,} more", unknown=unknown, warning=warning)
        shown = (*shown, more)
    return tuple(map(_shorten, shown))


def _shorten(finding: Finding) -> Finding:
    long: dict[str, Any] = {
        name: f"{value[:MAX_TEXT_CHARACTERS]}..."
        for name, value in vars(finding).items()
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS
    }
    return replace(finding, **long) if long else finding


def _status(check: Check, findings: Sequence[Finding]) -> Status:
    if not findings:
        return "pass"
    if check.severity == "warning" or all(finding.warning for finding in findings):
        return "warning"
    if all(finding.unknown or finding.warning for finding in findings):
        return "unknown"
    return "fail"


def require_known_waivers(contract: Contract) -> None:
    """Raise ContractError unless each waiver names a check that its table can waive."""
    tables = [("tool.imageproof", contract.waivers, True)]
    tables += [
        (f"tool.imageproof.images.{name}", image.waivers, False)
        for name, image in contract.images.items()
    ]
    for table, waivers, project_wide in tables:
        ids = [check.id for check in REGISTRY.values() if check.is_project_wide is project_wide]
        for id_ in waivers:
            if id_ not in ids:
                scope = "the project" if project_wide else "an image"
                raise ContractError(
                    "reading the contract",
                    f"{table}.waivers: there is no check {id_!r} of {scope}",
                    hint=f"the checks are: {', '.join(sorted(ids))}",
                )
