"""What the configuration says of environment variables, in the three places that name them:
the settings class, .env.example, and the compose file."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.errors import ContractError

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

# ${NAME}, ${NAME:-default}, ${NAME-default} (Compose file reference, interpolation)
_REFERENCE = re.compile(r"^\$\{(?P<name>\w+)(?::?-(?P<default>.*))?\}$", re.DOTALL)


_NAMED = re.compile(r"\$\{(\w+)")


@dataclass(frozen=True)
class Variable:
    """An environment variable; `default` as it would be written in an environment file."""

    name: str
    default: str
    secret: bool = False


@dataclass(frozen=True)
class ExampleEntry:
    """A line of .env.example, and whether a comment explains it."""

    name: str
    value: str
    documented: bool


@dataclass(frozen=True)
class VariableFacts:
    """The three places."""

    settings: Mapping[str, Mapping[str, Variable]]  # image: name: variable
    example: Mapping[str, ExampleEntry] | None  # None: there is no such file
    compose: Mapping[str, Mapping[str, Variable]]  # service: name: variable
    interpolated: frozenset[str] = frozenset()  # every ${NAME} of the stack's files


def read_variables(contract: Contract, engine: Engine) -> VariableFacts:
    """Read all three. Raises ContractError where a settings class cannot be had."""
    # The file itself, without what tests or development lay over it.
    model = engine.with_compose_file(contract.compose_file).compose_model(interpolate=False)
    services: Mapping[str, Any] = model.get("services", {})
    return VariableFacts(
        settings={
            name: read_settings(contract.root, image.environment.settings)
            for name, image in contract.images.items()
            if image.environment
        },
        example=read_example(contract.root / contract.env_example),
        compose={name: read_service_environment(service) for name, service in services.items()},
        interpolated=frozenset(_NAMED.findall(json.dumps(model) + _stack_file(contract))),
    )


def _stack_file(contract: Contract) -> str:
    file = contract.stack_file
    return file.read_text() if file and file.exists() else ""


def read_settings(root: Path, place: str) -> dict[str, Variable]:
    """The variables of a pydantic-settings class, `module:Class`, found below `root`."""
    return {
        name: Variable(name, _written(info.get_default()), _is_secret(info))
        for name, info in _fields(_import(root, place)).items()
    }


def accepts_value(root: Path, place: str, name: str, value: str) -> bool:
    """Whether a settings class takes that value for a variable."""
    from pydantic import TypeAdapter, ValidationError

    info = _fields(_import(root, place))[name]
    try:
        TypeAdapter(info.annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _import(root: Path, place: str) -> Any:
    module, _, name = place.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ContractError(
            f"importing the settings class {place}",
            str(error),
            hint="see [tool.imageproof.images.*.environment]",
        ) from error


def _fields(settings: Any) -> dict[str, Any]:
    """The fields of a pydantic-settings class by the variables that they are read from."""
    prefix = settings.model_config.get("env_prefix", "")
    found = {}
    for field, info in settings.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else None
        found[(alias or f"{prefix}{field}").upper()] = info
    return found


def _written(default: Any) -> str:
    if default is None or type(default).__name__ == "PydanticUndefinedType":
        return ""
    if hasattr(default, "get_secret_value"):
        return str(default.get_secret_value())
    value = getattr(default, "value", default)  # an enum's value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_secret(info: Any) -> bool:
    return "Secret" in repr(info.annotation)


def read_example(path: Path) -> dict[str, ExampleEntry] | None:
    """The entries of .env.example: a comment right above an entry, or behind it, explains it."""
    if not path.exists():
        return None
    found: dict[str, ExampleEntry] = {}
    commented = False
    for line in path.read_text().splitlines():
        text = line.strip()
        if text.startswith("#"):
            commented = True
        elif "=" in text:
            name, _, rest = text.partition("=")
            value, _, remark = rest.partition(" #")
            found[name] = ExampleEntry(name, value.strip(), commented or bool(remark))
            commented = False
        else:
            commented = False
    return found


def read_service_environment(service: Mapping[str, Any]) -> dict[str, Variable]:
    """The environment that a service is given, each with its default as written."""
    environment = service.get("environment") or {}
    found = {}
    for name, written in environment.items():
        text = "" if written is None else str(written)
        match = _REFERENCE.match(text)
        found[name] = Variable(name, (match["default"] or "") if match else text)
    return found
