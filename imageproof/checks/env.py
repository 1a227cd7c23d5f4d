"""env.*: environment variables in the settings classes, in .env.example and in the compose file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.redaction import contains_secret, is_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.env_vars import Variable, VariableFacts

REFERENCE = "https://12factor.net/config; https://12factor.net/dev-prod-parity"


@check(
    "env.parity",
    "variables",
    title="Settings classes, .env.example and compose file have the same variables and defaults",
    why="A variable that is missing in one of the three has no effect there, without an error. A "
    "default that differs makes production differ from the documentation.",
    remedy="Add the missing variable, or make the defaults equal.",
    reference=REFERENCE,
)
def parity(contract: Contract, facts: VariableFacts) -> Iterator[Finding]:
    """Fail for each variable that one place lacks, or whose default differs."""
    for image, settings in facts.settings.items():
        passed = facts.compose.get(contract.images[image].service, {})
        yield from _compose_parity(contract.compose, image, settings, passed)
    if not facts.settings:
        return  # no image has a settings class
    if facts.example is None:
        yield Finding(f"there is no {contract.env_example}", file=contract.env_example)
        return
    read = _all_settings(facts)
    for name, variable in sorted(read.items()):
        if name not in facts.example:
            yield Finding(f"{name} is in the code but not in {contract.env_example}")
        elif facts.example[name].value != variable.default:
            value = facts.example[name].value
            yield from _default_differs(name, contract.env_example, value, variable)
    for name in sorted(facts.example.keys() - read.keys() - facts.interpolated):
        yield Finding(f"{name} is in {contract.env_example} but nothing reads it")


def _compose_parity(
    file: str, image: str, settings: Mapping[str, Variable], passed: Mapping[str, Variable]
) -> Iterator[Finding]:
    for name, variable in sorted(settings.items()):
        if name not in passed:
            yield Finding(f"{name} is read by {image} but not set in {file}")
        elif passed[name].default != variable.default:
            yield from _default_differs(name, file, passed[name].default, variable)
    for name in sorted(passed.keys() - settings.keys()):
        yield Finding(f"{name} is set for {image} in {file} but not read by the code")


def _default_differs(name: str, file: str, value: str, variable: Variable) -> Iterator[Finding]:
    """Yield the difference. env.secrets-blank reports a secret with a value in a file."""
    if not variable.secret:
        yield Finding(
            f"{name} has the default {variable.default!r} in the code, {value!r} in {file}",
            measured=value,
            bound=variable.default,
        )
    elif not value:
        yield Finding(f"the secret {name} has a default in the code, expected none as in {file}")


def _all_settings(facts: VariableFacts) -> dict[str, Variable]:
    return {name: v for settings in facts.settings.values() for name, v in settings.items()}


@check(
    "env.documented",
    "variables",
    title="Each variable of .env.example has a comment",
    why="A name does not explain the effect of a value, or the allowed values.",
    remedy="Write a comment right above the variable.",
    reference=REFERENCE,
)
def documented(contract: Contract, facts: VariableFacts) -> Iterator[Finding]:
    """Fail for each variable without a comment."""
    for entry in (facts.example or {}).values():
        if not entry.documented:
            yield Finding(f"{entry.name} has no comment", file=contract.env_example)


@check(
    "env.secrets-blank",
    "variables",
    title="Secrets are blank in .env.example and in the compose file",
    why="Both files are in the repository: a secret there is published, and a sample value gets "
    "copied into production.",
    remedy="Leave the value empty.",
    reference="CIS Docker Benchmark 4.10",
)
def secrets_blank(contract: Contract, facts: VariableFacts) -> Iterator[Finding]:
    """Fail for each secret with a value, without showing the value.

    The settings class says which of its variables are secrets. For other variables, such as
    POSTGRES_PASSWORD of a public image, the name and the value decide.
    """
    read = _all_settings(facts)

    def has_secret(name: str, value: str) -> bool:
        if name not in read:
            return is_secret(name, value)
        if not read[name].secret:
            return contains_secret(value)
        return bool(value) and not value.startswith("$")  # ${TOKEN:?is needed}

    for name, entry in (facts.example or {}).items():
        if has_secret(name, entry.value):
            yield Finding(f"the secret {name} has a value", file=contract.env_example)
    for service, variables in sorted(facts.compose.items()):
        for name, variable in sorted(variables.items()):
            if has_secret(name, variable.default):
                message = f"the secret {name} has a value in service {service}"
                yield Finding(message, file=contract.compose)
