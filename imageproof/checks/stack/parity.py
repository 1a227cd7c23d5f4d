"""stack.parity: the stack file for a Swarm describes the same services as the compose file."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.swarm_file import ServiceSettings, StackFileFacts

_Difference = tuple[str, str, str]  # message, actual value, expected value


@check(
    "stack.parity",
    "stack",
    title="The stack file for a Swarm describes the same services as the compose file",
    why="The compose file's stack is the one that is tested. A limit, a variable or a hardening "
    "that the stack file lacks is missing in production, and no test notices.",
    remedy="Write the same in both files. Make a secret variable a Docker secret in the stack "
    "file: under `secrets:`, with its name in lower case.",
    reference="https://docs.docker.com/reference/cli/docker/stack/deploy/; "
    "https://docs.docker.com/engine/swarm/secrets/",
)
def parity(contract: Contract, facts: StackFileFacts) -> Iterator[Finding]:
    """Fail for each service, setting or variable that one file lacks or that differs."""
    compose_file, stack_file = contract.compose, str(contract.stack)
    for name in sorted(facts.compose.keys() | facts.swarm.keys()):
        if name not in facts.swarm:
            message = f"{name} is a service in {compose_file} but not in {stack_file}"
            yield Finding(message, file=stack_file)
        elif name not in facts.compose:
            message = f"{name} is a service in {stack_file} but not in {compose_file}"
            yield Finding(message, file=compose_file)
        else:
            compose, swarm = facts.compose[name], facts.swarm[name]
            for problem, actual, expected in (
                *_settings(compose, swarm, compose_file, stack_file),
                *_variables(compose, swarm, compose_file, stack_file, facts.secret_variables),
            ):
                yield Finding(
                    f"{name}: {problem}", file=stack_file, measured=actual, bound=expected
                )


def _settings(
    compose: ServiceSettings, swarm: ServiceSettings, compose_file: str, stack_file: str
) -> Iterator[_Difference]:
    for setting in sorted(compose.settings.keys() | swarm.settings.keys()):
        expected, actual = compose.settings.get(setting), swarm.settings.get(setting)
        if actual != expected:
            expected, actual = expected or "not set", actual or "not set"
            problem = f"{setting} is {expected} in {compose_file}, {actual} in {stack_file}"
            yield problem, actual, expected


def _variables(
    compose: ServiceSettings,
    swarm: ServiceSettings,
    compose_file: str,
    stack_file: str,
    secrets: AbstractSet[str],
) -> Iterator[_Difference]:
    in_stack_file = swarm.environment.keys() | swarm.secrets
    for variable in sorted(compose.environment.keys() - in_stack_file):
        yield f"{variable} is set in {compose_file} but not in {stack_file}", "not set", "set"
    for variable in sorted(in_stack_file - compose.environment.keys() - compose.secrets):
        yield f"{variable} is set in {stack_file} but not in {compose_file}", "set", "not set"
    for variable in sorted(swarm.environment.keys() & compose.environment.keys()):
        expected, actual = compose.environment[variable], swarm.environment[variable]
        if variable in secrets:
            problem = (
                f"the secret {variable} is under `environment:` in {stack_file}, where everyone "
                "with access to the swarm can read it, expected under `secrets:`"
            )
            yield problem, "environment", "secrets"
        elif actual != expected:
            problem = (
                f"{variable} has the default {expected!r} in {compose_file}, "
                f"{actual!r} in {stack_file}"
            )
            yield problem, actual, expected
