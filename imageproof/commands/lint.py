"""Lint: every tool that reads the sources without running them, side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.checks import REGISTRY
from imageproof.contract import FILE
from imageproof.docker.errors import tail_of
from imageproof.errors import LintFailed, OpsError
from imageproof.verify.judge import judge_project
from imageproof.verify.run import read_project

if TYPE_CHECKING:
    from imageproof.checks.check import Looks
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# What there is to judge before anything is built.
LOOKS: frozenset[Looks] = frozenset({"variables", "compose", "stack"})


@dataclass(frozen=True)
class Outcome:
    """What one linter said; remarks are worth knowing, and fail nothing."""

    name: str
    complaints: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def lint(contract: Contract, engine: Engine) -> bool:
    """Run every linter, and tell what each says: see `tell`."""
    return tell(look(contract, engine))


def look(contract: Contract, engine: Engine) -> list[Outcome]:
    """What each linter says."""
    commands = linters(contract)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        running = [pool.submit(_run, contract.root, name, cmd) for name, cmd in commands.items()]
        running.append(pool.submit(_compose, contract, engine))
        return [future.result() for future in running]


def tell(outcomes: Sequence[Outcome]) -> bool:
    """Show what each linter said. Raises LintFailed when one complained; returns whether none had
    a remark either."""
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
    """The command line of each linter that has something to read in this project."""
    root = contract.root
    dockerfiles = sorted(str(p) for glob in contract.dockerfiles for p in root.glob(glob))
    workflows = sorted(str(p) for p in root.glob(".github/workflows/*.y*ml"))
    rules = root / ".hadolint.yaml"
    options = ["--config", str(rules)] if rules.exists() else []
    configured = tomllib.loads((root / FILE).read_text())["tool"]
    commands = {
        "hadolint": (dockerfiles, ["hadolint", "--no-color", *options, *dockerfiles]),
        "ruff check": (
            "ruff" in configured,
            ["ruff", "check", "-q", "--output-format=concise", "."],
        ),
        "ruff format": ("ruff" in configured, ["ruff", "format", "--check", "-q", "."]),
        "mypy": ("mypy" in configured, ["mypy", "--no-error-summary"]),
        "imports": ("importlinter" in configured, ["lint-imports", "--no-cache"]),
        "actionlint": (workflows, ["actionlint", *workflows]),
    }
    return {
        name: [_tool(command[0]), *command[1:]]
        for name, (wanted, command) in commands.items()
        if wanted
    }


def _tool(name: str) -> str:
    """A linter of this environment, wherever the command was started from."""
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
    said = tail_of(result.stdout + result.stderr)
    return Outcome(name, tuple(said) or (f"it ended with status {result.returncode}",))


def _compose(contract: Contract, engine: Engine) -> Outcome:
    """Compose accepts the file, and the checks of variables and services hold."""
    name = "compose and environment"
    try:
        engine.compose_model(interpolate=True)
        facts = read_project(contract, engine, LOOKS)
    except OpsError as error:
        return Outcome(name, (str(error), *error.tail))
    checks = [check for check in REGISTRY.values() if check.looks in LOOKS]
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
