"""The `lint` command: Dockerfiles, the compose file and its environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.checks import REGISTRY
from imageproof.errors import ImageproofError, LintFailed
from imageproof.terminal_text import clean_lines
from imageproof.verify.judge import judge_project
from imageproof.verify.run import read_project

if TYPE_CHECKING:
    from imageproof.checks.check import FactKind
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# Facts that exist before anything is built.
STATIC_FACT_KINDS: frozenset[FactKind] = frozenset({"variables", "compose", "stack"})


@dataclass(frozen=True)
class Outcome:
    """Result of one linter. Remarks do not fail the run."""

    name: str
    complaints: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def lint(
    contract: Contract, engine: Engine, extra: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Run every linter side by side and print the results. Raises LintFailed.

    `extra`: command lines of the project's own linters by name, run in its root.
    """
    console.step("lint")
    report(run_linters(contract, engine, extra))
    console.done("lint")


def run_linters(
    contract: Contract, engine: Engine, extra: Mapping[str, Sequence[str]] | None = None
) -> list[Outcome]:
    """Return the outcome of each linter."""
    commands = {**linters(contract), **(extra or {})}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        running = [pool.submit(_run, contract.root, name, cmd) for name, cmd in commands.items()]
        running.append(pool.submit(_compose, contract, engine))
        return [future.result() for future in running]


def report(outcomes: Sequence[Outcome]) -> bool:
    """Print each outcome; return whether there was no remark. Raises LintFailed."""
    bad = [outcome for outcome in outcomes if outcome.complaints]
    for outcome in outcomes:
        console.say(f"  {'✗' if outcome.complaints else '✓'} {outcome.name}")
        for line in outcome.complaints:
            console.say(f"      {line}")
        for line in outcome.remarks:
            console.say(f"      warning: {line}")
    if bad:
        raise LintFailed(
            "linting",
            f"{', '.join(outcome.name for outcome in bad)} complained",
            hint="each line above begins with its place",
        )
    return not any(outcome.remarks for outcome in outcomes)


def linters(contract: Contract) -> dict[str, list[str]]:
    """Return the command line of each linter that has a file to read in this project."""
    root = contract.root
    dockerfiles = sorted(str(p) for glob in contract.dockerfiles for p in root.glob(glob))
    if not dockerfiles:
        return {}
    rules = root / ".hadolint.yaml"
    options = ["--config", str(rules)] if rules.exists() else []
    return {"hadolint": [tool_path("hadolint"), "--no-color", *options, *dockerfiles]}


def tool_path(name: str) -> str:
    """Return the path of a linter in this Python environment."""
    return str(Path(sys.executable).parent / name)


def _run(root: Path, name: str, command: Sequence[str]) -> Outcome:
    try:
        result = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return Outcome(name, (f"{command[0]} is not installed: `./inv` makes the environment",))
    if result.returncode == 0:
        return Outcome(name, ())
    said = clean_lines(result.stdout + result.stderr)
    return Outcome(name, tuple(said) or (f"it ended with status {result.returncode}",))


def _compose(contract: Contract, engine: Engine) -> Outcome:
    """Compose accepts the file, and the checks of variables and services hold."""
    name = "compose and environment"
    try:
        engine.compose_model(interpolate=True)
        facts = read_project(contract, engine, STATIC_FACT_KINDS)
    except ImageproofError as error:
        return Outcome(name, (str(error), *error.tail))
    checks = [check for check in REGISTRY.values() if check.needs in STATIC_FACT_KINDS]
    told = [
        (f"{result.check.id}: {finding.message}", result.fails and not finding.warning)
        for result in judge_project(checks, contract, facts)
        if result.status != "waived"
        for finding in result.findings
    ]
    return Outcome(
        name,
        complaints=tuple(said for said, fails in told if fails),
        remarks=tuple(said for said, fails in told if not fails),
    )
