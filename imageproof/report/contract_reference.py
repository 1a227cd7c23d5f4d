"""The reference of the contract's keys in Markdown: docs/contract.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ByteSize

from imageproof.contract import Contract, Model, ServiceContract

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FILE = "docs/contract.md"
TOPIC = "contract"  # the argument of `explain` for this page
COMMAND = f"./inv explain {TOPIC} > {FILE}"

# Checks and commands (`./inv NAME`) that use each key.
PROJECT_USES: Mapping[str, tuple[str, ...]] = {
    "compose": ("build", "up", "compose.*", "env.parity", "env.secrets-blank", "stack.parity"),
    "stack": ("deploy", "stack.*"),
    "watch": ("watch",),
    "env_example": ("env.*",),
    "dockerfiles": ("lint",),
    "baseline": ("size", "size.growth"),
    "base.image": ("build",),
    "base.variable": ("build",),
    "base.suite": ("build",),
    "base.packages": ("build",),
    "tools.NAME.programs": ("doctor",),
    "tools.NAME.package": ("provision",),
    "waivers.ID": ("verify",),
}
IMAGE_USES: Mapping[str, tuple[str, ...]] = {
    "service": ("build", "up", "run.*", "compose.exposure"),
    "size": ("size.budget", "size.growth"),
    "user": (
        "user.nonroot",
        "user.accounts",
        "fs.app-immutable",
        "fs.orphans",
        "run.nonroot",
        "run.readonly",
    ),
    "command": ("config.exec-form",),
    "ports": ("config.ports", "compose.exposure", "run.listening"),
    "programs.NAME.arguments": ("run.programs",),
    "programs.NAME.answers": ("run.programs",),
    "smoke[].command": ("run.smoke",),
    "smoke[].answers": ("run.smoke",),
    "smoke[].within": ("run.smoke",),
    "required": ("content.required",),
    "absent": (
        "content.forbidden",
        "content.locked",
        "content.package-managers",
        "base.supported",
    ),
    "writable": ("fs.app-immutable", "fs.world-writable", "config.env", "run.readonly"),
    "lock": ("content.locked", "push"),
    "npm_lock": ("content.locked", "push"),
    "packages": ("content.locked",),
    "bytecode": ("content.bytecode", "content.caches"),
    "growth": ("size.growth",),
    "waste": ("size.waste",),
    "health.path": ("run-api",),
    "health.port": ("run-api",),
    "health.notices_within": ("config.healthcheck", "run.health-notices"),
    "health.ready_within": ("up", "run-api", "run.healthy"),
    "workdir": ("config.workdir", "content.tests", "content.bytecode"),
    "volumes": ("config.volumes",),
    "stop_signal": ("config.stop-signal", "run.pid1"),
    "stop_timeout": ("run.stop",),
    "labels": ("config.labels",),
    "env.NAME": ("config.env",),
    "environment.settings": ("env.*", "secret.log", "stack.parity"),
    "waivers.ID": ("verify",),
}
_HEAD = f"""# The contract

Generated from `imageproof/contract/models.py` by `{COMMAND}`.

The contract is the table `[tool.imageproof]` in `pyproject.toml`. It describes each image, and
`./inv verify` compares the images and the running services with it. How an image is built
(Dockerfile, context, target, tag) is in the compose file, not in the contract, so that plain
`docker compose up` builds the same images.

```toml
[tool.imageproof.images.shop]
service = "shop"
size = "55MB"
user = "10001:10001"
command = ["python", "-m", "shop"]
health = {{ notices_within = 45 }}
```

These five keys are required; all others are optional. An unknown key or an invalid value stops the
command with exit status 2, and the message names the key.

## Results

`./inv verify` reports one result for each check and image. The checks of the project report one
result for the whole project.

| Result | Meaning | Fails the run |
|---|---|---|
| `pass` | The check found no violation. | no |
| `warning` | The check found something that need not be fixed at once. | no |
| `fail` | The check found a violation. | yes |
| `waived` | The check found a violation, and the contract waives it. | no |
| `unknown` | The check could not read what it needs. | yes |
| `not run` | The facts were not requested (`--static`, no `--deep`), or no stack is running. | no |

A run also fails if every check is `not run`, or if `--only` chooses a check of running containers
and the stack is stopped. A missing container is `unknown`: one check of its service reports it.

## Waivers

A waiver names a check and the reason why it may fail:

```toml
[tool.imageproof.images.shop.waivers]
"content.forbidden" = "busybox is the server itself"
```

A check of the project is waived in `[tool.imageproof.waivers]`; [checks](checks.md) lists them. A
waiver whose check passes fails the run, so that it does not hide the next violation. A waiver of an
unknown check, or in the wrong table, is an error in the contract (exit status 2).

## Types

A *size* is an integer (bytes) or a string with a unit, such as `"54.6MB"` or `"500kB"`. `NAME` and
`ID` stand for names that you choose, `[]` for a list of tables. A *required* key of an optional
table is required only if the table is there.
"""
_TYPES: Mapping[Any, str] = {str: "string", int: "integer", float: "number", ByteSize: "size"}
_PLACEHOLDERS = {"waivers": "ID"}


@dataclass(frozen=True)
class Key:
    """One key of the contract, as the reference shows it."""

    name: str
    type: str
    default: str
    meaning: str


def markdown() -> str:
    """Return the page: an introduction, then a table of the project's and of an image's keys."""
    lines = [_HEAD, "## Keys of `[tool.imageproof]`", "", *_table(Contract, PROJECT_USES), ""]
    lines += [
        "## Keys of `[tool.imageproof.images.NAME]`",
        "",
        *_table(ServiceContract, IMAGE_USES),
    ]
    return "\n".join(lines) + "\n"


def keys(model: type[Model], prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a table, and those of nested tables as dotted names.

    A field without a description is no key of the file; `images` has its own table of keys.
    """
    for name, field in model.model_fields.items():
        if field.description is None or field.annotation == dict[str, ServiceContract]:
            continue
        nested, placeholder = _nested(name, field.annotation)
        full_name = f"{prefix}{name}{placeholder}"
        if nested:
            yield from keys(nested, f"{full_name}.")
        elif placeholder:  # a table of strings
            yield Key(full_name, _type_name(str), "", field.description)
        else:
            yield Key(full_name, _type_name(field.annotation), _default(field), field.description)


def _nested(name: str, annotation: Any) -> tuple[type[Model] | None, str]:
    """Return a key's nested table, if any, and the placeholder after the key.

    The placeholder is `.NAME` for a table whose keys the user chooses, `[]` for a list of tables.
    """
    arguments = [item for item in get_args(annotation) if item not in (NoneType, Ellipsis)]
    origin = get_origin(annotation)
    value = arguments[-1] if arguments else annotation
    model = value if isinstance(value, type) and issubclass(value, Model) else None
    if origin is dict:
        return model, f".{_PLACEHOLDERS.get(name, 'NAME')}"
    return model, "[]" if model and origin is tuple else ""


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin in (Union, UnionType):
        return _type_name(next(item for item in arguments if item is not NoneType))
    if origin is Literal:
        return ", ".join(f"`{json.dumps(item)}`" for item in arguments)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}s"
    return _TYPES[annotation]


def _default(field: FieldInfo) -> str:
    """Return a key's default as TOML; "" if there is none."""
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def _table(model: type[Model], uses: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    yield from ("| Key | Type | Default | Meaning | Used by |", "|---|---|---|---|---|")
    for key in keys(model):
        used_by = ", ".join(map(_link, uses[key.name]))
        yield f"| `{key.name}` | {key.type} | {key.default} | {key.meaning} | {used_by} |"


def _link(use: str) -> str:
    """Return a check or group of checks (`env.*`) as a link, a command as code."""
    if "." not in use:
        return f"`./inv {use}`"
    anchor = use.removesuffix(".*").replace(".", "")
    text = use.replace("*", r"\*")
    return f"[{text}](checks.md#{anchor})"
