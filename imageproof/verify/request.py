"""The options of `verify`, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from imageproof.checks import choose_checks
from imageproof.errors import UsageError
from imageproof.image.sources import is_outside_engine

ACTION = "reading the command line"


@dataclass(frozen=True)
class Request:
    """The scope of one verification.

    Attributes:
        image: The only image to verify; None: every image of the contract.
        reference: Verify this image by the contract of `image`.
        only: A check id, or a prefix of check ids.
        static: Start no container, and read no running one.
        running: The stack must run: a stopped stack is a violation.
        deep: Build twice, and try a copy of the stack.
        stack: A Swarm stack; verify only its tasks on this engine's node.
        platform: The platform to choose from a multi-platform `reference`.
    """

    image: str | None = None
    reference: str | None = None
    only: str | None = None
    static: bool = False
    running: bool = False
    deep: bool = False
    stack: str | None = None
    platform: str | None = None


def parse_request(
    image: str | None,
    only: str | None,
    *,
    static: bool,
    deep: bool = False,
    stack: str | None = None,
    platform: str | None = None,
) -> Request:
    """Return the request that these options stand for; `image` is NAME or NAME=REF.

    `--only` with nothing but deep checks implies `--deep`.

    Raises:
        UsageError: A check does not exist, or options contradict each other.
    """
    checks = choose_checks(only)
    name, equals, reference = (image or "").partition("=")
    if equals and not (name and reference):
        raise UsageError(ACTION, f"{image!r} is not NAME=REF")
    if static and deep:
        raise UsageError(
            ACTION, "--static cannot be combined with --deep: --static starts no container"
        )
    if stack and (static or deep or reference):
        raise UsageError(ACTION, "--stack cannot be combined with --static, --deep or NAME=REF")
    if stack and not any(check.needs == "containers" for check in checks):
        raise UsageError(ACTION, f"--stack reads running containers: {only} does not need them")
    if platform and not is_outside_engine(reference):
        raise UsageError(
            ACTION,
            "--platform needs an image in a registry, a file or a folder",
            hint="add --image NAME=docker://HOST/NAME:TAG, or =FILE or =FOLDER",
        )
    deep = deep or (only is not None and not static and all(check.is_deep for check in checks))
    return Request(
        name or None,
        reference or None,
        only,
        static,
        deep=deep,
        stack=stack,
        platform=platform,
    )
