"""Compose files, as `docker compose config` resolves them.

python-on-whales lacks the options of this command.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof.docker.environment import compose_variable
from imageproof.docker.errors import client_missing, translate
from imageproof.errors import ConfigurationError

# Compose file reference, interpolation: $NAME, ${NAME}, ${NAME:-default} ...
_VARIABLE = re.compile(r"\$\{?(\w+)")
# ... and ${NAME:?error} or ${NAME?error}, which have no default: a value is required.
_REQUIRED = re.compile(r"\$\{(\w+):?\?")
_CLIENT_VARIABLES = frozenset({"PATH", "HOME", "DOCKER_CONFIG"})  # the docker program needs these
_ALL_PROFILES = ("--profile", "*")


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
    environment = {**os.environ, **project.variables}
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
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=environment,
        )
    except FileNotFoundError as error:
        raise client_missing("reading the compose file") from error
    if result.returncode != 0:
        raise translate("reading the compose file", result.stderr, ConfigurationError)
    model: dict[str, Any] = json.loads(result.stdout)
    return model
