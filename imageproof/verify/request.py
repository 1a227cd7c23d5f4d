"""The options of `verify`, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.checks import choose_checks
from imageproof.checks.check import DEEP_FACT_KINDS
from imageproof.errors import UsageError
from imageproof.image.sources import is_outside_engine
from imageproof.verify.judge import NOT_RUN_REASONS

if TYPE_CHECKING:
    from imageproof.checks.check import FactKind

_ACTION = "reading the command line"


@dataclass(frozen=True)
class Request:
    """The scope of one verification.

    Attributes:
        image: Name of the only image to verify; None: every image of the contract.
        reference: The image to verify by the contract of `image`; None: the tag that is built.
        only: Id or prefix of the checks to run; None: every check.
        static: Start no container, and read no running one.
        running: The stack must run: a stopped stack is a violation.
        deep: Build twice, and try copies of the stack.
        stack: Name of a Swarm stack; only its tasks on this engine's node are verified.
        platform: Platform to choose from a multi-platform `reference`.
    """

    image: str | None = None
    reference: str | None = None
    only: str | None = None
    static: bool = False
    running: bool = False
    deep: bool = False
    stack: str | None = None
    platform: str | None = None

    @property
    def not_run_reasons(self) -> Mapping[FactKind, str]:
        """Why a check is not run, by the kind of its missing facts."""
        reasons = dict(NOT_RUN_REASONS)
        if self.reference:
            reason = "NAME=REF verifies one image, not the stack"
            reasons |= dict.fromkeys(("containers", *DEEP_FACT_KINDS), reason)
        if self.static:
            reasons |= dict.fromkeys(("programs", "containers"), NOT_RUN_REASONS["programs"])
        return reasons


def parse_request(
    image: str | None,
    only: str | None,
    *,
    static: bool,
    deep: bool = False,
    stack: str | None = None,
    platform: str | None = None,
) -> Request:
    """Return the request for these options; `image` is NAME or NAME=REF.

    If `only` chooses just deep checks, the request is deep, unless it is static. If it chooses a
    check of running containers, the stack must run.

    Raises:
        UsageError: There is no such check, or options contradict each other.
    """
    checks = choose_checks(only)
    name, equals, reference = (image or "").partition("=")
    if equals and not (name and reference):
        raise UsageError(
            _ACTION,
            f"{image!r} is not NAME=REF",
            hint="for example --image api=docker://HOST/shop/api:1",
        )
    if static and deep:
        raise UsageError(
            _ACTION,
            "--static cannot be combined with --deep: --static starts no container",
            hint="leave out one of them",
        )
    if stack and (static or deep or reference):
        raise UsageError(
            _ACTION,
            "--stack cannot be combined with --static, --deep or NAME=REF",
            hint="leave out the others: --stack verifies running tasks only",
        )
    if stack and not any(check.needs == "containers" for check in checks):
        raise UsageError(
            _ACTION,
            f"--stack verifies running containers: {only} does not need them",
            hint="leave out --only, or choose a check of `./inv verify --only run`",
        )
    if platform and not is_outside_engine(reference):
        raise UsageError(
            _ACTION,
            "--platform needs an image in a registry, a file or a folder",
            hint="add --image NAME=docker://HOST/NAME:TAG, or =FILE or =FOLDER",
        )
    needs_stack = only is not None and any(check.needs == "containers" for check in checks)
    implies_deep = only is not None and not static and all(check.is_deep for check in checks)
    return Request(
        image=name or None,
        reference=reference or None,
        only=only,
        static=static,
        running=needs_stack and not (static or reference or stack),
        deep=deep or implies_deep,
        stack=stack,
        platform=platform,
    )
