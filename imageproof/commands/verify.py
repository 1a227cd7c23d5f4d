"""The `verify` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageproof.errors import VerifyFailed
from imageproof.report import formats
from imageproof.report.status import count_line
from imageproof.verify import run
from imageproof.verify.request import Request

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.verify.judge import Verdict


def verify(
    contract: Contract, engine: Engine, request: Request, format_: str, output: str | None
) -> None:
    """Verify, and render the verdict to `output` or standard output. Raises VerifyFailed."""
    formats.require_report_format(format_)
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
