"""The parts of a check: `Finding`, `Check`, and the decorator that registers a check.

A check is a pure function from a contract and facts to findings. It never calls Docker: the same
facts give the same findings. A check of one image gets the contract of its service:

    @check(
        "config.labels",
        "image",
        title="The image has every label of the contract",
        why="A label tells an operator what an unknown image is and where it came from.",
        remedy="Add the LABEL to the last stage of the Dockerfile.",
        reference="https://github.com/opencontainers/image-spec/blob/main/annotations.md",
    )
    def labels(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
        for name in contract.labels:
            if not facts.labels.get(name):
                yield Finding(f"the label {name} is missing or empty")

The id leads to the file: `config.labels` is in checks/config.py, `run.limits` in
checks/run/limits.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from imageproof.errors import UsageError
from imageproof.suggestion import did_you_mean

# Facts about one image; its check gets them with the contract of the service (ServiceContract).
ImageFactKind = Literal["image", "programs", "containers", "trial", "build"]
# Facts about the project; its check gets them with the whole contract (Contract).
ProjectFactKind = Literal["images", "variables", "compose", "stack", "updates", "teardown"]
FactKind = Literal[ImageFactKind, ProjectFactKind]
FACT_KINDS: Mapping[FactKind, str] = {
    "image": "the image: its configuration, its history and every file of every layer",
    "programs": "programs run in the image without network; not with `--static`",
    "containers": "the running containers of the service; not with `--static`",
    "trial": "a copy of the stack, started and stopped; only with `--deep`",
    "build": "two builds without cache; only with `--deep`",
    "images": "all images of the contract together",
    "variables": "settings classes, `.env.example` and the compose file; also in `./inv lint`",
    "compose": "the compose file with its defaults, without `.env`; also in `./inv lint`",
    "stack": "the compose file and the Swarm file, if the contract names one; also in `./inv lint`",
    "updates": "the Swarm file, if the contract names one, and the images' health checks",
    "teardown": "the leftovers of a stopped copy of the stack; only with `--deep`",
}
PROJECT_FACT_KINDS = get_args(ProjectFactKind)
# Collected only with `--deep`: a build or a copy of the stack takes minutes.
DEEP_FACT_KINDS: frozenset[FactKind] = frozenset({"trial", "build", "teardown"})

Severity = Literal["error", "warning"]
CheckFunction = Callable[[Any, Any], Iterable["Finding"]]


@dataclass(frozen=True)
class Finding:
    """One violation and its place.

    Attributes:
        message: The violation, with the expected value beside the actual one; `./inv lint` and
            JUnit show it without `measured` and `bound`.
        layer: The layer's diff_id.
        instruction: The Dockerfile instruction that made the layer.
        file: A path in the image (absolute) or in the repository (relative).
        measured: The actual value.
        bound: The expected value or the limit.
        unknown: A part of the facts is missing, so that the check cannot decide. Fails the run.
        warning: This finding does not fail the run, whatever the severity of its check.
    """

    message: str
    layer: str | None = None
    instruction: str | None = None
    file: str | None = None
    measured: int | float | str | None = None
    bound: int | float | str | None = None
    unknown: bool = False
    warning: bool = False


@dataclass(frozen=True)
class Check:
    """One rule: a function, and the texts that explain its findings.

    Attributes:
        id: `prefix.name`, such as `run.limits`.
        title: The rule in one line.
        why: The harm that a violation does.
        remedy: The change that removes a violation.
        reference: The source of the rule.
        needs: The kind of facts that the function gets.
        function: Yields the findings for a contract and facts.
        severity: Whether a violation fails the run (`error`) or not (`warning`).
    """

    id: str
    title: str
    why: str
    remedy: str
    reference: str
    needs: FactKind
    function: CheckFunction
    severity: Severity = "error"

    @property
    def is_deep(self) -> bool:
        """Whether the check runs only with `--deep`."""
        return self.needs in DEEP_FACT_KINDS

    @property
    def is_project_wide(self) -> bool:
        """Whether the check is about the whole project, not about one image."""
        return self.needs in PROJECT_FACT_KINDS


REGISTRY: dict[str, Check] = {}


def check(
    id_: str,
    needs: FactKind,
    *,
    title: str,
    why: str,
    remedy: str,
    reference: str,
    severity: Severity = "error",
) -> Callable[[CheckFunction], CheckFunction]:
    """Register the decorated function as a check. The parameters are the attributes of `Check`."""

    def register(function: CheckFunction) -> CheckFunction:
        if id_ in REGISTRY:
            raise ValueError(f"two checks have the id {id_}")
        REGISTRY[id_] = Check(
            id=id_,
            title=title,
            why=why,
            remedy=remedy,
            reference=reference,
            needs=needs,
            function=function,
            severity=severity,
        )
        return function

    return register


def require_check(id_: str, checks: Mapping[str, Check] = REGISTRY) -> Check:
    """Return the check with this id.

    Raises:
        UsageError: There is no such check.
    """
    if id_ not in checks:
        similar = [known for known in checks if id_.partition(".")[0] in known]
        prefixes = {known.partition(".")[0] for known in checks}
        listing = f"{'similar' if similar else 'all'}: {', '.join(similar or sorted(checks))}"
        hint = did_you_mean(id_, [*checks, *prefixes]) + listing
        raise UsageError("reading the command line", f"there is no check {id_!r}", hint=hint)
    return checks[id_]


def choose_checks(only: str | None, checks: Mapping[str, Check] = REGISTRY) -> list[Check]:
    """Return the checks with an id or prefix, such as `run.limits` or `run`; None: all checks.

    Raises:
        UsageError: There is no such check.
    """
    if only is None:
        return list(checks.values())
    with_prefix = [item for item in checks.values() if item.id.partition(".")[0] == only]
    return with_prefix or [require_check(only, checks)]
