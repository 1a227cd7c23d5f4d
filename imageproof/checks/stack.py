"""The stack's file for a swarm: the same stack as the compose file's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.swarm_file import Described, StackFileFacts


@check(
    "stack.parity",
    "stack",
    title="The swarm's file describes the same services as the compose file",
    why="What is tested is the stack of the compose file. A limit, a variable or a hardening that "
    "the other file lacks is missing where it counts, and no test of the first one tells.",
    remedy="Write the same in both files. A variable that is a secret is a Docker secret in the "
    "swarm's file: `secrets:`, with its name in lower case.",
    reference="https://docs.docker.com/reference/cli/docker/stack/deploy/; "
    "https://docs.docker.com/engine/swarm/secrets/",
)
def parity(contract: Contract, facts: StackFileFacts) -> Iterator[Finding]:
    """Fail for each service, setting or variable that one file lacks, or has otherwise."""
    here, there = contract.compose, str(contract.stack)
    for name in sorted(facts.compose.keys() | facts.swarm.keys()):
        if name not in facts.swarm or name not in facts.compose:
            has, lacks = (here, there) if name in facts.compose else (there, here)
            yield Finding(f"{name} is a service of {has}, and none of {lacks}", file=lacks)
            continue
        compose, swarm = facts.compose[name], facts.swarm[name]
        for said in (*_settings(compose, swarm, here), *_variables(compose, swarm, here, facts)):
            yield Finding(f"{name}: {said}", file=there)


def _settings(compose: Described, swarm: Described, here: str) -> Iterator[str]:
    for setting in sorted(compose.settings.keys() | swarm.settings.keys()):
        one, other = compose.settings.get(setting), swarm.settings.get(setting)
        if one != other:
            yield f"{setting} is {other or 'not set'}, {one or 'not set'} in {here}"


def _variables(
    compose: Described, swarm: Described, here: str, facts: StackFileFacts
) -> Iterator[str]:
    given = swarm.environment.keys() | swarm.secrets
    for variable in sorted(compose.environment.keys() - given):
        yield f"{variable} is not passed on, {here} does"
    for variable in sorted(given - compose.environment.keys() - compose.secrets):
        yield f"{variable} is passed on, {here} does not"
    for variable in sorted(swarm.environment.keys() & compose.environment.keys()):
        if variable in facts.secret:
            yield f"{variable} is a secret, and anybody who may ask the swarm reads it there"
        elif swarm.environment[variable] != compose.environment[variable]:
            yield (
                f"{variable} has the default {swarm.environment[variable]!r}, "
                f"{compose.environment[variable]!r} in {here}"
            )
