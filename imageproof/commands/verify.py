"""The `verify` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.docker.project_lock import project_lock
from imageproof.errors import VerifyFailed
from imageproof.project.override_files import describe_overrides
from imageproof.report import formats
from imageproof.report.status import count_line
from imageproof.stack.ownership import foreign_folders
from imageproof.verify import run
from imageproof.verify.request import Request

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.verify.judge import Verdict


def verify(
    contract: Contract,
    engine: Engine,
    request: Request,
    format_: str,
    output: str | None,
    *,
    wait: bool = True,
) -> None:
    """Verify, and render the verdict to `output` or standard output. Raises VerifyFailed.

    `wait`: wait for a command that changes the project's images or stack.
    """
    formats.require_report_format(format_)
    if request.reference or request.stack:  # neither this project's images nor its stack
        verdict = run.verify(contract, engine, request)
    else:
        engine.require_answer()
        with project_lock(engine, "verify", shared=True, wait=wait):
            for line in describe_overrides(contract, engine):
                console.say(f"  {line}")
            for folder in [] if request.static else foreign_folders(contract, engine):
                console.warn(f"the running stack was started from {folder}")
            verdict = run.verify(contract, engine, request)
    formats.render(verdict, format_, output)
    _require_pass(verdict)


def verify_quietly(contract: Contract, engine: Engine, *, running: bool) -> str:
    """Verify, and return the verdict in one line.

    If a check fails, print the whole table and raise VerifyFailed.
    """
    verdict = run.verify(contract, engine, Request(running=running, static=not running))
    require_all_pass([verdict])
    return f"verify: {count_line(verdict)}"


def require_all_pass(verdicts: Sequence[Verdict]) -> None:
    """Print each failed verdict. Raises VerifyFailed for the first of them."""
    failed = [verdict for verdict in verdicts if not verdict.passes]
    for verdict in failed:
        formats.render(verdict, "table", None)
    for verdict in failed:
        _require_pass(verdict)


def _require_pass(verdict: Verdict) -> None:
    if not verdict.passes:
        raise VerifyFailed(
            "verifying", count_line(verdict), hint="`./inv explain ID` says why a check matters"
        )
