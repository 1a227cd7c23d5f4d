"""Environment variables: what the code reads, what is documented, and what the stack passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.redaction import has_shape, is_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.env_vars import Variable, VariableFacts

REFERENCE = "https://12factor.net/config; https://12factor.net/dev-prod-parity"


@check(
    "env.parity",
    "variables",
    title="Settings classes, .env.example and compose file name the same variables and defaults",
    why="A variable that one of the three does not know is a setting that silently has no effect; "
    "a default that differs makes production behave unlike the documentation.",
    remedy="Add the variable where it is missing, or make the defaults equal.",
    reference=REFERENCE,
)
def parity(contract: Contract, facts: VariableFacts) -> Iterator[Finding]:
    """Fail for each variable that one place lacks, or that has another default there."""
    for image, settings in facts.settings.items():
        passed = facts.compose.get(contract.images[image].service, {})
        yield from _stack_parity(contract.compose, image, settings, passed)
    if not facts.settings:
        return  # no image of the contract reads an environment
    if facts.example is None:
        yield Finding(f"there is no {contract.env_example}", file=contract.env_example)
        return
    read = {name: v for settings in facts.settings.values() for name, v in settings.items()}
    for name, variable in sorted(read.items()):
        if name not in facts.example:
            yield Finding(f"{name}: {contract.env_example} does not name it")
        elif facts.example[name].value != variable.default:
            yield from _differs(name, contract.env_example, facts.example[name].value, variable)
    for name in sorted(facts.example.keys() - read.keys() - facts.interpolated):
        yield Finding(f"{name}: {contract.env_example} names it, nothing reads it")


def _stack_parity(
    place: str, image: str, settings: Mapping[str, Variable], passed: Mapping[str, Variable]
) -> Iterator[Finding]:
    for name, variable in sorted(settings.items()):
        if name not in passed:
            yield Finding(f"{name}: {image} reads it, {place} does not pass it on")
        elif passed[name].default != variable.default:
            yield from _differs(name, place, passed[name].default, variable)
    for name in sorted(passed.keys() - settings.keys()):
        yield Finding(f"{name}: {place} passes it to {image}, which does not read it")


def _differs(name: str, place: str, there: str, variable: Variable) -> Iterator[Finding]:
    if not variable.secret:
        yield Finding(
            f"{name}: the default is {variable.default!r} in the code, {there!r} in {place}",
            measured=there,
            bound=variable.default,
        )
    elif not there:  # a value that is there is told by env.secrets-blank
        yield Finding(f"{name}: the code has a default, though it is a secret, {place} has none")


@check(
    "env.documented",
    "variables",
    title="Each variable of .env.example is explained",
    why="A name alone does not say what a value does, or which are allowed.",
    remedy="Write a comment right above the entry.",
    reference=REFERENCE,
)
def documented(contract: Contract, facts: VariableFacts) -> Iterator[Finding]:
    """Fail for each entry without a comment."""
    for entry in (facts.example or {}).values():
        if not entry.documented:
            yield Finding(f"{entry.name} has no comment", file=contract.env_example)


@check(
    "env.secrets-blank",
    "variables",
    title="Secrets are blank in .env.example and compose file",
    why="Both files are in the repository: a secret there is published, and a made-up one is "
    "copied into production.",
    remedy="Leave the value empty.",
    reference="CIS Docker Benchmark 4.10",
)
def secrets_blank(contract: Contract, facts: VariableFacts) -> Iterator[Finding]:
    """Fail for each secret that has a value. The value is not shown.

    A settings class says which of its variables are secrets. Of others, name and value tell, so
    that a service of somebody else's image (POSTGRES_PASSWORD) is looked at too.
    """
    read = {name: v for settings in facts.settings.values() for name, v in settings.items()}

    def told(name: str, value: str) -> bool:
        if name not in read:
            return is_secret(name, value)
        if not read[name].secret:
            return has_shape(value)
        return bool(value) and not value.startswith("$")  # ${TOKEN:?is needed}

    for name, entry in (facts.example or {}).items():
        if told(name, entry.value):
            yield Finding(f"{name} has a value", file=contract.env_example)
    for service, variables in sorted(facts.compose.items()):
        for name, variable in sorted(variables.items()):
            if told(name, variable.default):
                yield Finding(f"{name} has a value, in service {service}", file=contract.compose)
