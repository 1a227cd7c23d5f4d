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

# Facts of the project's files: they exist before anything is built.
FILE_FACT_KINDS: frozenset[FactKind] = frozenset({"variables", "compose", "stack"})


@dataclass(frozen=True)
class Outcome:
    """Complaints and warnings of one linter. Warnings do not fail the command."""

    name: str
    complaints: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def lint(
    contract: Contract, engine: Engine, extra: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Run all linters in parallel and print their outcomes. Raises LintFailed.

    `extra`: command lines of the project's own linters by name, run in its root.
    """
    console.step("lint")
    report(run_linters(contract, engine, extra))
    console.done("lint")


def run_linters(
    contract: Contract, engine: Engine, extra: Mapping[str, Sequence[str]] | None = None
) -> list[Outcome]:
    """Run the linters of the contract and `extra` in parallel, and return their outcomes."""
    commands = {**linter_commands(contract), **(extra or {})}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        pending = [
            pool.submit(_run_linter, contract.root, name, command)
            for name, command in commands.items()
        ]
        pending.append(pool.submit(_check_project_files, contract, engine))
        outcomes = [future.result() for future in pending]
    if "hadolint" not in commands:
        globs = ", ".join(contract.dockerfiles)
        warning = f"not run: no Dockerfile matches {globs} (`dockerfiles` in the contract)"
        outcomes.append(Outcome("hadolint", (), (warning,)))
    return outcomes


def report(outcomes: Sequence[Outcome]) -> None:
    """Print each outcome. Raises LintFailed if a linter complained."""
    for outcome in outcomes:
        console.say(f"  {'✗' if outcome.complaints else '✓'} {outcome.name}")
        for line in outcome.complaints:
            console.say(f"      {line}")
        for line in outcome.warnings:
            console.say(f"      warning: {line}")
    failed = [outcome.name for outcome in outcomes if outcome.complaints]
    if failed:
        raise LintFailed(
            "linting",
            f"{', '.join(failed)} complained",
            hint="each line above begins with its place",
        )


def linter_commands(contract: Contract) -> dict[str, list[str]]:
    """Return the command line of each linter by name; none without a Dockerfile."""
    root = contract.root
    dockerfiles = sorted(str(path) for glob in contract.dockerfiles for path in root.glob(glob))
    if not dockerfiles:
        return {}
    config = root / ".hadolint.yaml"
    options = ["--config", str(config)] if config.exists() else []
    return {"hadolint": [tool_path("hadolint"), "--no-color", *options, *dockerfiles]}


def tool_path(name: str) -> str:
    """Return the path of a program in this Python environment."""
    return str(Path(sys.executable).parent / name)


def _run_linter(root: Path, name: str, command: Sequence[str]) -> Outcome:
    try:
        result = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return Outcome(name, (f"{command[0]} is not installed: `./inv` makes the environment",))
    if result.returncode == 0:
        return Outcome(name, ())
    lines = clean_lines(result.stdout + result.stderr)
    return Outcome(name, tuple(lines) or (f"it ended with status {result.returncode}",))


def _check_project_files(contract: Contract, engine: Engine) -> Outcome:
    """Let Compose parse its file, then run the checks of the project's files."""
    name = "compose and environment"
    try:
        engine.with_compose_file(contract.compose_file).compose_model(interpolate=True)
        facts = read_project(contract, engine, FILE_FACT_KINDS)
    except ImageproofError as error:
        return Outcome(name, (str(error), *error.tail))
    checks = [check for check in REGISTRY.values() if check.needs in FILE_FACT_KINDS]
    complaints: list[str] = []
    warnings: list[str] = []
    for result in judge_project(checks, contract, facts):
        if result.status != "waived":
            for finding in result.findings:
                lines = complaints if result.fails and not finding.warning else warnings
                lines.append(f"{result.check.id}: {finding.message}")
    return Outcome(name, tuple(complaints), tuple(warnings))
