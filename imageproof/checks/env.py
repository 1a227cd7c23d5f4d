"""env.*: environment variables in the settings classes, in .env.example and in the compose file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.redaction import contains_secret, is_secret

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.project.env_vars import VariableFacts
    from imageproof.project.settings_class import Variable

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
    settings_of_all = _all_settings(facts)
    for name, variable in sorted(settings_of_all.items()):
        if name not in facts.example:
            yield Finding(f"{name} is in the code but not in {contract.env_example}")
        elif facts.example[name].value != variable.default:
            value = facts.example[name].value
            yield from _different_default(name, contract.env_example, value, variable)
    for name in sorted(facts.example.keys() - settings_of_all.keys() - facts.interpolated):
        yield Finding(f"{name} is in {contract.env_example} but nothing reads it")


def _compose_parity(
    file: str, image: str, settings: Mapping[str, Variable], passed: Mapping[str, Variable]
) -> Iterator[Finding]:
    for name, variable in sorted(settings.items()):
        if name not in passed:
            yield Finding(f"{name} is read by {image} but not set in {file}")
        elif passed[name].default != variable.default:
            yield from _different_default(name, file, passed[name].default, variable)
    for name in sorted(passed.keys() - settings.keys()):
        yield Finding(f"{name} is set for {image} in {file} but not read by the code")


def _different_default(name: str, file: str, value: str, variable: Variable) -> Iterator[Finding]:
    """Yield the finding about a default; env.secrets-blank reports a secret's value in a file."""
    if not variable.secret:
        yield Finding(
            f"{name} has the default {variable.default!r} in the code, {value!r} in {file}",
            measured=value,
            bound=variable.default,
        )
    elif not value:
        yield Finding(f"the secret {name} has a default in the code, expected none as in {file}")


def _all_settings(facts: VariableFacts) -> dict[str, Variable]:
    """Return the variables of all settings classes, by name."""
    return {
        name: variable
        for settings in facts.settings.values()
        for name, variable in settings.items()
    }


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

    A settings class marks its secrets; its other variables must hold no token or password. A
    variable of no settings class, such as POSTGRES_PASSWORD, is a secret by its name or value.
    """
    settings = _all_settings(facts)

    def has_secret(name: str, value: str) -> bool:
        if name not in settings:
            return is_secret(name, value)
        if not settings[name].secret:
            return contains_secret(value)
        return bool(value) and not value.startswith("$")  # `${TOKEN:?is needed}` has no value

    for name, entry in (facts.example or {}).items():
        if has_secret(name, entry.value):
            yield Finding(f"the secret {name} has a value", file=contract.env_example)
    for service, variables in sorted(facts.compose.items()):
        for name, variable in sorted(variables.items()):
            if has_secret(name, variable.default):
                message = f"the secret {name} has a value in service {service}"
                yield Finding(message, file=contract.compose)
