"""Facts of environment variables, from settings classes, .env.example and the compose file."""

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

# A value that is one variable: ${NAME}, ${NAME:-default}, ${NAME-default} (Compose file reference,
# interpolation).
_ONE_VARIABLE = re.compile(r"^\$\{(?P<name>\w+)(?::?-(?P<default>.*))?\}$", re.DOTALL)
_INTERPOLATED = re.compile(r"\$\{(\w+)")


@dataclass(frozen=True)
class Variable:
    """Environment variable; `default` as an environment file would write it."""

    name: str
    default: str
    secret: bool = False


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
    return file.read_text() if file and file.exists() else ""


def read_settings(root: Path, class_path: str) -> dict[str, Variable]:
    """Return the variables of a pydantic-settings class.

    Args:
        root: Folder to import from.
        class_path: `module:Class`.

    Raises:
        ContractError: The class cannot be imported.
    """
    return {
        name: Variable(name, _default_text(info.get_default()), _is_secret(info))
        for name, info in _fields(_import_class(root, class_path)).items()
    }


def accepts_value(root: Path, class_path: str, name: str, value: str) -> bool:
    """Return whether a settings class accepts the value for the variable `name`."""
    from pydantic import TypeAdapter, ValidationError

    info = _fields(_import_class(root, class_path))[name]
    try:
        TypeAdapter(info.annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _import_class(root: Path, class_path: str) -> Any:
    module, _, name = class_path.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ContractError(
            f"importing the settings class {class_path}",
            str(error),
            hint="correct `environment.settings` of the image in [tool.imageproof.images]",
        ) from error


def _fields(settings_class: Any) -> dict[str, Any]:
    """Return the fields of a pydantic-settings class by the name of their variable."""
    prefix = settings_class.model_config.get("env_prefix", "")
    fields = {}
    for field, info in settings_class.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else None
        fields[(alias or f"{prefix}{field}").upper()] = info
    return fields


def _default_text(default: Any) -> str:
    """Return a field's default as an environment file would write it; "" for none."""
    # By its name: pydantic's constant for a missing default is internal to pydantic_core.
    if default is None or type(default).__name__ == "PydanticUndefinedType":
        return ""
    if hasattr(default, "get_secret_value"):
        return str(default.get_secret_value())
    value = getattr(default, "value", default)  # an enum's value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_secret(info: Any) -> bool:
    """Return whether a field has the type SecretStr, SecretBytes or Secret[...], or may have it."""
    return "Secret" in repr(info.annotation)


def read_env_example(path: Path) -> dict[str, ExampleEntry] | None:
    """Return the entries of .env.example; None if there is no such file.

    A comment documents an entry if it is directly above it or on its line.
    """
    if not path.exists():
        return None
    entries: dict[str, ExampleEntry] = {}
    commented = False
    for line in path.read_text().splitlines():
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
