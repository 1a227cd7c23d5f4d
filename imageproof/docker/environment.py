"""Environment variables, as Compose resolves them."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from imageproof.documents import read_project_text
from imageproof.errors import ConfigurationError

MAX_ENV_BYTES = 1 << 18
MAX_REFERENCES = 1000  # of variables to others, such as ${NAME}: each is searched to the file's end


def compose_variable(root: Path, name: str) -> str | None:
    """Return the value of a variable: of this process's environment, else of .env in `root`.

    An empty value counts as none.

    Raises:
        ConfigurationError: .env is unreadable, or beyond a bound.
    """
    return os.environ.get(name) or env_file_variables(root).get(name) or None


def compose_variables(root: Path) -> dict[str, str]:
    """Return all variables: those of .env in `root`, overridden by this process's environment.

    For a compose file in another folder, for which Compose would read another .env.

    Raises:
        ConfigurationError: .env is unreadable, or beyond a bound.
    """
    return env_file_variables(root) | dict(os.environ)


def env_file_variables(root: Path) -> dict[str, str]:
    """Return the variables of the files that COMPOSE_ENV_FILES names, else of .env in `root`.

    Raises:
        ConfigurationError: a file is unreadable, or beyond a bound.
    """
    named = os.environ.get("COMPOSE_ENV_FILES")
    variables: dict[str, str] = {}
    for path in map(Path, named.split(",")) if named else (root / ".env",):
        variables |= {name: value or "" for name, value in _read_env_file(path).items()}
    return variables


def _read_env_file(path: Path) -> dict[str, str | None]:
    from dotenv import dotenv_values

    if not path.exists() or path.is_dir() or path == Path(os.devnull):
        return {}
    if not path.is_file():  # Compose would wait for a pipe's writer
        raise ConfigurationError(
            f"reading {path}",
            "it is not a regular file",
            hint="replace it by a regular file, or remove it",
        )
    text = read_project_text(path, MAX_ENV_BYTES)
    if text.count("${") > MAX_REFERENCES:
        raise ConfigurationError(
            f"reading {path}",
            f"its values refer to other variables more than {MAX_REFERENCES:,} times",
            hint="write the values out",
        )
    return dotenv_values(stream=StringIO(text))
