"""Facts of environment variables, from settings classes, .env.example and the compose file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.documents import read_project_text
from imageproof.project.settings_class import Variable, read_settings

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# A value that is one variable: ${NAME}, ${NAME:-default}, ${NAME-default} (Compose file reference,
# interpolation).
_ONE_VARIABLE = re.compile(r"^\$\{(?P<name>\w+)(?::?-(?P<default>.*))?\}$", re.DOTALL)
_INTERPOLATED = re.compile(r"\$\{(\w+)")


@dataclass(frozen=True)
class ExampleEntry:
    """Entry of .env.example; `documented`: a comment explains it."""

    name: str
    value: str
    documented: bool


@dataclass(frozen=True)
class VariableFacts:
    """Variables of the settings classes, of .env.example and of the compose file."""

    settings: Mapping[str, Mapping[str, Variable]]  # by image, then by variable
    example: Mapping[str, ExampleEntry] | None  # None: no such file
    compose: Mapping[str, Mapping[str, Variable]]  # by service, then by variable
    interpolated: frozenset[str] = frozenset()  # each ${NAME} of the compose and stack files


def read_variables(contract: Contract, engine: Engine) -> VariableFacts:
    """Read the settings classes, .env.example and the compose file.

    Raises:
        ContractError: A settings class cannot be imported.
    """
    # Override files for tests or development are ignored.
    model = engine.with_compose_file(contract.compose_file).compose_model(interpolate=False)
    services: Mapping[str, Any] = model.get("services") or {}
    compose_texts = json.dumps(model) + _stack_file_text(contract)
    return VariableFacts(
        settings={
            name: read_settings(contract.root, image.environment.settings)
            for name, image in contract.images.items()
            if image.environment
        },
        example=read_env_example(contract.root / contract.env_example),
        compose={name: read_service_environment(service) for name, service in services.items()},
        interpolated=frozenset(_INTERPOLATED.findall(compose_texts)),
    )


def _stack_file_text(contract: Contract) -> str:
    file = contract.stack_file
    return read_project_text(file) if file and file.exists() else ""


def read_env_example(path: Path) -> dict[str, ExampleEntry] | None:
    """Return the entries of .env.example; None if there is no such file.

    A comment documents an entry if it is directly above it or on its line.
    """
    if not path.exists():
        return None
    entries: dict[str, ExampleEntry] = {}
    commented = False
    for line in read_project_text(path).splitlines():
        text = line.strip()
        if text.startswith("#"):
            commented = True
        elif "=" in text:
            name, _, rest = text.partition("=")
            value, _, comment = rest.partition(" #")
            entries[name] = ExampleEntry(name, value.strip(), commented or bool(comment))
            commented = False
        else:
            commented = False
    return entries


def read_service_environment(service: Mapping[str, Any]) -> dict[str, Variable]:
    """Return the variables that the compose file sets for a service, with their defaults."""
    variables = {}
    for name, value in (service.get("environment") or {}).items():
        text = "" if value is None else str(value)
        match = _ONE_VARIABLE.match(text)
        variables[name] = Variable(name, (match["default"] or "") if match else text)
    return variables
