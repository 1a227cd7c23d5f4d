"""Program that imports a settings class and prints its fields: `settings_class.py` runs it.

It is another process, because the import runs code of the repository, which may print, exit, hang
or change this interpreter. It imports nothing of this toolkit.

Arguments: the folder to import from, and `module:Class`. Standard input: a JSON list of
`[variable, value]` pairs to validate. Standard output: a JSON object with `variables` and
`accepted`, or with `error`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import traceback
from typing import Any


def main(root: str, class_path: str) -> None:
    """Answer on the original standard output; what the module prints goes to standard error."""
    values = json.load(sys.stdin)
    sys.stdin = io.StringIO()  # the module's
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    process = os.getpid()
    sys.path.insert(0, root)
    answer: dict[str, Any]
    try:
        fields = read_fields(import_class(class_path))
        answer = {
            "variables": [
                [name, default_text(info.get_default()), is_secret(info)]
                for name, info in fields.items()
            ],
            "accepted": [accepts(fields[name], value) for name, value in values],
        }
    except BaseException as error:  # noqa: BLE001  # of foreign code, sys.exit too
        answer = {"error": describe(error, root)}
    if os.getpid() == process:  # the module may have forked
        answers.write(json.dumps(answer))
        answers.flush()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the module may have closed it
                stream.flush()
    os._exit(0)  # without the module's threads and exit handlers


def import_class(class_path: str) -> Any:
    """Return the class of `module:Class`."""
    module, _, name = class_path.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not (hasattr(found, "model_fields") and hasattr(found, "model_config")):
        raise TypeError(f"{class_path} is not a class of pydantic-settings")
    return found


def read_fields(settings_class: Any) -> dict[str, Any]:
    """Return the fields of a pydantic-settings class by the name of their variable."""
    prefix = settings_class.model_config.get("env_prefix", "")
    fields = {}
    for field, info in settings_class.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else None
        fields[(alias or f"{prefix}{field}").upper()] = info
    return fields


def default_text(default: Any) -> str:
    """Return a field's default as an environment file would write it; "" for none."""
    # By its name: pydantic's constant for a missing default is internal to pydantic_core.
    if default is None or type(default).__name__ == "PydanticUndefinedType":
        return ""
    if hasattr(default, "get_secret_value"):
        return str(default.get_secret_value())
    value = getattr(default, "value", default)  # an enum's value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_secret(info: Any) -> bool:
    """Return whether a field has the type SecretStr, SecretBytes or Secret[...], or may have it."""
    return "Secret" in repr(info.annotation)


def accepts(info: Any, value: str) -> bool:
    """Return whether a field accepts a value."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(info.annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def describe(error: BaseException, root: str) -> str:
    """Return an error with its last place in the project, such as `app/config.py:7: ...`."""
    text = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    if isinstance(error, SystemExit):
        text = f"it exits with status {error.code}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(f"{root}/"):
            return f"{frame.filename.removeprefix(f'{root}/')}:{frame.lineno}: {text}"
    return text


if __name__ == "__main__":
    main(*sys.argv[1:])
