"""The `lint` command: Dockerfiles, the compose file and its environment variables."""

from __future__ import annotations

import contextlib
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
    error: ImageproofError | None = None  # why it could not run


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
        unread = pool.submit(_unread_dockerfiles, contract, engine)
        outcomes = [future.result() for future in pending]
    if "hadolint" not in commands:
        globs = ", ".join(contract.dockerfiles)
        warning = f"not run: no Dockerfile matches {globs} (`dockerfiles` in the contract)"
        outcomes.append(Outcome("hadolint", (), (warning,)))
    if warnings := unread.result():
        outcomes.append(Outcome("Dockerfiles", (), warnings))
    return outcomes


def report(outcomes: Sequence[Outcome]) -> None:
    """Print each outcome.

    Raises:
        LintFailed: A linter complained.
        ImageproofError: A linter could not run, because the compose file is wrong or the machine
            lacks something.
    """
    for outcome in outcomes:
        mark = "✗" if outcome.complaints else "!" if outcome.warnings else "✓"
        console.say(f"  {mark} {outcome.name}")
        for line in outcome.complaints:
            console.say(f"      {line}")
        for line in outcome.warnings:
            console.say(f"      warning: {line}")
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    failed = [outcome.name for outcome in outcomes if outcome.complaints]
    if failed:
        raise LintFailed(
            "linting",
            f"{', '.join(failed)} complained",
            hint="each line above begins with its place",
        )


def linter_commands(contract: Contract) -> dict[str, list[str]]:
    """Return the command line of each linter by name; none without a Dockerfile."""
    dockerfiles = _matching_dockerfiles(contract)
    if not dockerfiles:
        return {}
    config = contract.root / ".hadolint.yaml"
    options = ["--config", str(config)] if config.exists() else []
    return {"hadolint": [tool_path("hadolint"), "--no-color", *options, *map(str, dockerfiles)]}


def _matching_dockerfiles(contract: Contract) -> list[Path]:
    """Return the files that the contract's globs match."""
    paths = {path for glob in contract.dockerfiles for path in contract.root.glob(glob)}
    return sorted(path for path in paths if path.is_file())


def _unread_dockerfiles(contract: Contract, engine: Engine) -> tuple[str, ...]:
    """Return a warning for each glob without a Dockerfile, and for each build without a lint."""
    warnings = []
    if "dockerfiles" in contract.model_fields_set:  # of the default globs, most match nothing
        warnings += [
            f"no file matches {glob!r} (`dockerfiles` in the contract)"
            for glob in contract.dockerfiles
            if not any(path.is_file() for path in contract.root.glob(glob))
        ]
    linted = {path.resolve() for path in _matching_dockerfiles(contract)}
    with contextlib.suppress(ImageproofError):  # another linter reports it
        for service, dockerfile in _built_dockerfiles(engine).items():
            if dockerfile is None:
                warnings.append(f"{service}: its Dockerfile is not a file, so it is not linted")
            elif dockerfile.resolve() not in linted:
                name = os.path.relpath(dockerfile, contract.root)
                warnings.append(
                    f"{service}: {name} is not linted: no glob of `dockerfiles` in the contract "
                    "matches it"
                )
    return tuple(warnings)


def _built_dockerfiles(engine: Engine) -> dict[str, Path | None]:
    """Return the Dockerfile of each service that is built; None: inline, or in a repository."""
    model = engine.compose_model(interpolate=True, defaults=True)
    files: dict[str, Path | None] = {}
    for name, service in (model.get("services") or {}).items():
        if build := service.get("build"):
            context = Path(build.get("context") or ".")
            is_file = context.is_dir() and "dockerfile_inline" not in build
            files[name] = context / (build.get("dockerfile") or "Dockerfile") if is_file else None
    return files


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
    except OSError as error:  # such as a program for another machine
        return Outcome(name, (f"{command[0]} cannot be run: {error.strerror}",))
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
        return Outcome(name, (str(error),), error=error)
    checks = [check for check in REGISTRY.values() if check.needs in FILE_FACT_KINDS]
    complaints: list[str] = []
    warnings: list[str] = []
    for result in judge_project(checks, contract, facts):
        if result.status != "waived":
            for finding in result.findings:
                lines = complaints if result.fails and not finding.warning else warnings
                lines.append(f"{result.check.id}: {finding.message}")
    return Outcome(name, tuple(complaints), tuple(warnings))
