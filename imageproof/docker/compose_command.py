"""Compose files, as `docker compose config` resolves them.

Not by python-on-whales, which lacks the options. The environment is passed to the process instead
of set in this one, so that several threads can read compose files at the same time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imageproof.docker.environment import compose_variable
from imageproof.docker.errors import translate
from imageproof.errors import ConfigurationError

# Compose file reference, interpolation: $NAME, ${NAME}, ${NAME:-default} ...
_VARIABLE = re.compile(r"\$\{?(\w+)")
# ... and ${NAME:?error}, which has no default: the user's value is needed.
_REQUIRED = re.compile(r"\$\{(\w+):?\?")
_CLIENT_VARIABLES = frozenset({"PATH", "HOME", "DOCKER_CONFIG"})  # the client needs these


def read_model(
    client: Sequence[str],
    files: Sequence[Path],
    project: str | None,
    variables: Mapping[str, str],
    *,
    interpolate: bool,
    without_variables_of: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the model of compose files.

    Args:
        client: the docker command.
        files: the compose file, and its override files.
        project: the project's name, None for Compose's own choice.
        variables: environment variables beside this process's.
        interpolate: fill in variables; else they stay as written, with every profile's services.
        without_variables_of: the model as written; ignore values for its variables in .env and
            the environment, and include the services of every profile.

    Raises:
        ConfigurationError: Compose rejects the files.
    """
    command = [*client, "compose", *(f"--file={path}" for path in files)]
    command += ["--project-name", project] if project else []
    command += ["--env-file", os.devnull] if without_variables_of is not None else []
    command += ["--profile", "*"] if without_variables_of is not None or not interpolate else []
    command += ["config", "--format", "json", *([] if interpolate else ["--no-interpolate"])]
    environment = {**os.environ, **variables}
    if without_variables_of is not None:
        written = json.dumps(without_variables_of)
        for name in set(_VARIABLE.findall(written)) - _CLIENT_VARIABLES:
            environment.pop(name, None)
        for name in _REQUIRED.findall(written):
            value = compose_variable(files[0].parent, name) or variables.get(name, "")
            environment[name] = value
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode != 0:
        raise translate("reading the compose file", result.stderr, ConfigurationError)
    model: dict[str, Any] = json.loads(result.stdout)
    return model
