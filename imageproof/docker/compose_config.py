"""Compose files as Compose reads them.

Not by python-on-whales, which lacks the options; with an environment of its own, so that several
may be asked side by side.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imageproof.docker.environment import variable
from imageproof.docker.errors import translate
from imageproof.errors import ConfigurationError

# Compose file reference, interpolation: $NAME, ${NAME}, ${NAME:-default} ...
_NAMED = re.compile(r"\$\{?(\w+)")
# ... and ${NAME:?why}, which has no default: somebody's own value is all that there is.
_REQUIRED = re.compile(r"\$\{(\w+):?\?")
_OF_THE_CLIENT = frozenset({"PATH", "HOME", "DOCKER_CONFIG"})  # it is not found without them


def read_model(
    client: Sequence[str],
    files: Sequence[Path],
    project: str | None,
    variables: Mapping[str, str],
    *,
    interpolate: bool,
    without: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One model of these files, with variables filled in or as written.

    `without`: the model as written, none of whose variables has a value then, from .env or the
    environment; the services of every profile are in it. Raises ConfigurationError where Compose
    does not accept the files.
    """
    command = [*client, "compose", *(f"--file={path}" for path in files)]
    command += ["--project-name", project] if project else []
    command += ["--env-file", os.devnull] if without is not None else []
    command += ["--profile", "*"] if without is not None or not interpolate else []
    command += ["config", "--format", "json", *([] if interpolate else ["--no-interpolate"])]
    given = {**os.environ, **variables}
    if without is not None:
        written = json.dumps(without)
        for name in set(_NAMED.findall(written)) - _OF_THE_CLIENT:
            given.pop(name, None)
        for name in _REQUIRED.findall(written):
            given[name] = variable(files[0].parent, name) or variables.get(name, "")
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=given)
    if result.returncode != 0:
        raise translate("reading the compose file", result.stderr, ConfigurationError)
    model: dict[str, Any] = json.loads(result.stdout)
    return model
