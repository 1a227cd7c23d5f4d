"""Compose files, as `docker compose config` resolves them.

python-on-whales lacks the options of this command.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof.bounded_process import run_bounded
from imageproof.docker.environment import compose_variable
from imageproof.docker.errors import client_missing, translate
from imageproof.documents import parse_json, read_text
from imageproof.errors import ConfigurationError

# Compose file reference, interpolation: $NAME, ${NAME}, ${NAME:-default} ...
_VARIABLE = re.compile(r"\$\{?(\w+)")
# ... and ${NAME:?error} or ${NAME?error}, which have no default: a value is required.
_WITH_DEFAULT = re.compile(r"\$\{(\w+)(?::?-([^{}]*))?\}")
_REQUIRED = re.compile(r"\$\{(\w+):?\?")
_CLIENT_VARIABLES = frozenset({"PATH", "HOME", "DOCKER_CONFIG"})  # the docker program needs these
_ALL_PROFILES = ("--profile", "*")
# Bounds of Compose. It resolves aliases one by one: nine levels of nine take gigabytes.
MAX_SECONDS = 30.0
MAX_MEMORY_BYTES = 1 << 29
MAX_SHOWN_LINES = 3
_OUT_OF_MEMORY = re.compile(r"(?:fatal error: )?runtime: (?:cannot allocate|out of) memory")
_ALIAS = re.compile(r"(?<![^\s\[,:-])\*[\w.-]+")


@dataclass(frozen=True)
class ComposeProject:
    """The inputs of a compose command.

    Attributes:
        docker: the docker program and its global options.
        files: the compose file, and its override files.
        name: the project's name, None for Compose's own choice.
        variables: environment variables beside this process's.
    """

    docker: Sequence[str]
    files: Sequence[Path]
    name: str | None
    variables: Mapping[str, str]


def read_model(project: ComposeProject, *, interpolate: bool) -> dict[str, Any]:
    """Return the model of compose files.

    Args:
        project: the compose files and their variables.
        interpolate: fill in variables; else they stay as written, and the services of every
            profile are included.

    Raises:
        ConfigurationError: Compose rejects the files.
    """
    environment = {**os.environ, **project.variables}
    if interpolate:
        return _config(project, environment)
    return _config(project, environment, _ALL_PROFILES, ["--no-interpolate"])


def read_default_model(
    project: ComposeProject, uninterpolated: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the model of compose files with the default of each variable.

    It includes the services of every profile. Values from .env and the environment are ignored,
    except for required variables, which have no default.

    Args:
        project: the compose files and their variables.
        uninterpolated: the model with its variables as written.

    Raises:
        ConfigurationError: Compose rejects the files.
    """
    everything = {**os.environ, **project.variables}
    # COMPOSE_PROJECT_NAME would change the names of networks and volumes.
    environment = {name: v for name, v in everything.items() if not name.startswith("COMPOSE_")}
    text = json.dumps(uninterpolated)
    for name in set(_VARIABLE.findall(text)) - _CLIENT_VARIABLES:
        environment.pop(name, None)
    for name in _REQUIRED.findall(text):
        value = compose_variable(project.files[0].parent, name)
        environment[name] = value or project.variables.get(name, "")
    return _config(project, environment, ["--env-file", os.devnull, *_ALL_PROFILES])


def _config(
    project: ComposeProject,
    environment: Mapping[str, str],
    compose_options: Sequence[str] = (),
    config_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the output of `docker compose config`."""
    command = [*project.docker, "compose", *(f"--file={path}" for path in project.files)]
    command += ["--project-name", project.name] if project.name else []
    command += [*compose_options, "config", "--format", "json", *config_options]
    action = "reading the compose file"
    try:
        ended = run_bounded(
            command,
            seconds=MAX_SECONDS,
            memory_bytes=MAX_MEMORY_BYTES,
            environment=environment,
        )
    except FileNotFoundError as error:
        raise client_missing(action) from error
    if ended.status is None:
        raise _too_costly(project.files, f"Compose did not end within {MAX_SECONDS:g} s")
    if _OUT_OF_MEMORY.match(ended.messages):
        raise _too_costly(project.files, f"Compose needs more than {MAX_MEMORY_BYTES >> 20} MiB")
    if ended.status != 0:
        hint = "`docker compose config` shows the same error, and the file once it is correct"
        refusal = translate(action, ended.messages, ConfigurationError, hint)
        if names := variables_with_value(project.files, ended.messages):
            variables = " or ".join(names)
            refusal.hint = f"correct {variables} in .env or the environment; {refusal.hint}"
        raise refusal
    try:
        model: dict[str, Any] = parse_json(ended.output)
    except ValueError as error:
        raise ConfigurationError(
            action,
            f"{_names(project.files)}: {error}",
            hint="`docker compose config` shows the file as Compose reads it: make it smaller",
        ) from error
    return model


def variables_with_value(files: Sequence[Path], text: str) -> list[str]:
    """Return the variables of compose files whose value, or default, stands in a text.

    For an error that shows a value, but not where it comes from.
    """
    words = set(re.split(r"[\s'\"`:,;/\[\]()]+", text)) - {""}
    names = []
    for file in files:
        with contextlib.suppress(OSError, ConfigurationError):
            for name, default in _WITH_DEFAULT.findall(read_text(file)):
                value = compose_variable(files[0].parent, name) or default
                if value in words and name not in names:
                    names.append(name)
    return names


def _names(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files)) or "the compose file"


def _too_costly(files: Sequence[Path], cause: str) -> ConfigurationError:
    """Return the error for files beyond a bound; its tail shows the lines with most aliases."""
    lines: list[tuple[int, str]] = []
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            for number, line in enumerate(read_text(file).splitlines(), 1):
                if aliases := len(_ALIAS.findall(line)):
                    lines.append(
                        (aliases, f"{file}:{number}: {aliases} aliases: {line.strip()[:80]}")
                    )
    lines.sort(key=lambda item: -item[0])
    return ConfigurationError(
        f"reading {_names(files)}",
        cause,
        tail=[text for _, text in lines[:MAX_SHOWN_LINES]],
        hint="aliases (`*name`) of aliases multiply: write out what they stand for"
        if lines
        else "does it include a large file, or one of another host?",
    )
