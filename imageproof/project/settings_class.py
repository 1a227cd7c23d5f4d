"""Facts of a pydantic-settings class, read in a process of its own.

Reading a class runs its module: code of the repository. It gets this Python environment and few
variables, so that it sees no secret of this process, and it cannot stop or change this process.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imageproof.bounded_process import Ended, run_bounded
from imageproof.documents import parse_json
from imageproof.errors import ContractError
from imageproof.project import settings_child
from imageproof.redaction import redact
from imageproof.terminal_text import clean_lines, strip_escapes

MAX_SECONDS = 60.0  # an import takes one second, and ten on a busy machine
MAX_MEMORY_BYTES = 1 << 31
MAX_CAUSE_CHARACTERS = 500
# The environment of the process: nothing that may be a secret.
PASSED_VARIABLES = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR")
_HINT = "correct `environment.settings` of the image in [tool.imageproof.images], or its module"


@dataclass(frozen=True)
class Variable:
    """Environment variable; `default` as an environment file would write it."""

    name: str
    default: str
    secret: bool = False


@functools.cache
def read_settings(root: Path, class_path: str) -> Mapping[str, Variable]:
    """Return the variables of a pydantic-settings class. It is read once: that takes 0.3 s.

    Args:
        root: Folder to import from.
        class_path: `module:Class`.

    Raises:
        ContractError: The class cannot be imported.
    """
    variables = [Variable(*values) for values in _ask(root, class_path, ())["variables"]]
    return MappingProxyType({variable.name: variable for variable in variables})


def accepts_value(root: Path, class_path: str, name: str, value: str) -> bool:
    """Return whether a settings class accepts the value for the variable `name`.

    Raises:
        ContractError: The class cannot be imported.
    """
    accepted: list[bool] = _ask(root, class_path, [(name, value)])["accepted"]
    return accepted[0]


def _ask(root: Path, class_path: str, values: Sequence[tuple[str, str]]) -> dict[str, Any]:
    action = f"importing the settings class {class_path}"
    # -P: nothing of this toolkit's folder is on its path. -B: the project's folder is not changed.
    command = [sys.executable, "-P", "-B", settings_child.__file__, str(root.resolve()), class_path]
    ended = run_bounded(
        command,
        seconds=MAX_SECONDS,
        memory_bytes=MAX_MEMORY_BYTES,
        environment=_environment(),
        folder=root,
        stdin=json.dumps(values),
    )
    try:
        answer: dict[str, Any] = parse_json(ended.output)
    except ValueError:
        answer = {"error": _describe_end(ended)}
    if "error" not in answer:
        return answer
    cause = redact(strip_escapes(" ".join(answer["error"].split())))[:MAX_CAUSE_CHARACTERS]
    tail = map(redact, clean_lines(ended.messages))
    raise ContractError(action, cause, tail=tail, hint=_HINT)


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    # Its entries may be relative to this process's folder.
    if folders := os.environ.get("PYTHONPATH"):
        passed["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, folders.split(os.pathsep)))
    return passed


def _describe_end(ended: Ended) -> str:
    if ended.status is None:
        return f"its module did not end within {MAX_SECONDS:g} s"
    return f"its module ended the process with status {ended.status}"
