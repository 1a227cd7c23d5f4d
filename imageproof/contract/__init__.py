"""The contract: what each image must be, read from `[tool.imageproof]` in pyproject.toml.

Frozen models that refuse unknown keys: a slip of the pen is an error with its place in the
file, never a check that silently does not run. How an image is built stands in the compose
file alone, for compose and bake alike; the contract names the service.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from imageproof.errors import ContractError, UsageError

FILE = "pyproject.toml"
HINT = (
    "imageproof/contract/__init__.py lists the keys of [tool.imageproof], with meaning and default"
)


class Model(BaseModel):
    """A table of the contract: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _is_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a pattern: {error}") from error
    return value


Pattern = Annotated[str, AfterValidator(_is_pattern)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Program(Model):
    """A program that must run in the image, and what it must answer."""

    arguments: tuple[str, ...] = ("--version",)
    answers: Pattern = Field(description="pattern that the first line of output must match")


class Smoke(Model):
    """A command that proves the image to do its job: run as its user, with no network."""

    command: tuple[str, ...] = Field(min_length=1)
    answers: Pattern = Field("", description="pattern that its output must contain")
    within: Seconds = Field(60, description="seconds")


class Health(Model):
    """How the service's health is asked for, and how fast a failure must be noticed."""

    path: str | None = Field(None, pattern="^/", description="path that answers 200 over HTTP")
    port: Port | None = Field(None, description="port of the path")
    notices_within: Seconds = Field(description="(interval + timeout) x retries, at most; seconds")
    ready_within: Seconds = Field(60, description="from start to healthy, at most; seconds")


class Environment(Model):
    """Which settings class the service reads its environment with."""

    settings: str = Field(pattern=r"^[\w.]+:\w+$", description="module:Class")


class ServiceContract(Model):
    """What one image must be."""

    service: str = Field(description="the compose service whose build section makes it")
    size: ByteSize = Field(description="budget: bytes of all layers, uncompressed")
    user: str = Field(pattern=r"^[1-9]\d*:[1-9]\d*$", description="numeric uid:gid, not root")
    command: tuple[str, ...] = Field(min_length=1, description="entry point and command, joined")
    ports: tuple[Port, ...] = Field((), description="exactly what is exposed")
    programs: dict[str, Program] = {}
    smoke: tuple[Smoke, ...] = ()
    required: tuple[str, ...] = Field((), description="paths that must be there")
    absent: tuple[str, ...] = Field(
        (), description="what must not be there: a program, a /path/glob, or kind:package"
    )
    writable: tuple[str, ...] = Field((), description="paths that the run user may write")
    lock: str | None = Field(None, description="lock file of the Python packages")
    npm_lock: str | None = Field(None, description="package-lock.json of the npm packages")
    packages: tuple[str, ...] | None = Field(
        None, description="globs: the distribution's packages that may be there"
    )
    bytecode: Literal["all", "none", "any"] = Field("any", description="compiled Python files")
    growth: ByteSize = Field(ByteSize(500_000), description="bytes above the recorded size")
    waste: ByteSize = Field(ByteSize(1_000_000), description="bytes hidden or repeated by layers")
    health: Health
    workdir: str | None = Field(None, description="working directory of the program")
    volumes: tuple[str, ...] = Field((), description="exactly what the image declares")
    stop_signal: str = "SIGTERM"
    stop_timeout: Seconds = Field(10, description="from the stop signal to the end; seconds")
    labels: tuple[str, ...] = Field((), description="labels that must not be empty")
    env: dict[str, str] = Field({}, description="variables that the image must set to this")
    environment: Environment | None = None
    waivers: dict[str, Annotated[str, Field(min_length=10)]] = Field(
        {}, description="check id: the reason why it may fall short here"
    )

    @field_validator("writable", "required", "volumes")
    @classmethod
    def _absolute(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith("/"):
                raise ValueError(f"{path!r} is not an absolute path")
        return paths

    @property
    def uid(self) -> int:
        """The numeric user id."""
        return int(self.user.split(":")[0])

    @property
    def gid(self) -> int:
        """The numeric group id."""
        return int(self.user.split(":")[1])


class Base(Model):
    """The image that everything is built from, and how to make it where none can be pulled."""

    image: str = Field("python:3.11-slim", description="the base where nothing overrides it")
    variable: str = Field("PYTHON_BASE", description="environment variable that overrides it")
    suite: str = Field("bookworm", description="Debian suite of the base that is made here")
    packages: tuple[str, ...] = Field(
        ("python3.11", "python3.11-venv", "ca-certificates"),
        description="packages of a base that is made here, besides Debian's minimum",
    )

    @property
    def made(self) -> str:
        """The tag of the base made from Debian's packages."""
        return f"imageproof/python-base:3.11-{self.suite}"


class Tool(Model):
    """A program that the tests need of the machine, besides what the line itself needs."""

    programs: tuple[str, ...] = Field(min_length=1, description="any of these will do")
    package: str = Field(description="the package of the distribution that brings one")


class Contract(Model):
    """The whole of `[tool.imageproof]`."""

    root: Path
    compose: str = Field("compose.yaml", description="the stack's file")
    stack: str | None = Field(None, description="the same stack's file for a Docker Swarm")
    env_example: str = Field(".env.example", description="the documented variables")
    dockerfiles: tuple[str, ...] = Field(
        ("Dockerfile", "Dockerfile.*", "*/Dockerfile", "*/Dockerfile.*"), description="globs"
    )
    baseline: str | None = Field(None, description="file of the recorded sizes")
    base: Base = Base()
    tools: dict[str, Tool] = {}
    waivers: dict[str, Annotated[str, Field(min_length=10)]] = Field(
        {}, description="check id of the project: the reason why it may fall short"
    )
    images: dict[str, ServiceContract] = Field(min_length=1)

    @property
    def compose_file(self) -> Path:
        """The stack's file, absolute."""
        return self.root / self.compose

    @property
    def stack_file(self) -> Path | None:
        """The stack's file for a swarm, absolute; None where the project has none."""
        return self.root / self.stack if self.stack else None

    @property
    def cache(self) -> Path:
        """Where the facts of layers are kept."""
        return self.root / ".imageproof/cache"

    def select(self, name: str | None) -> dict[str, ServiceContract]:
        """The images meant by a name on the command line; all of them where there is none.

        Raises UsageError where the contract has no such image.
        """
        if name is None:
            return dict(self.images)
        if name not in self.images:
            raise UsageError(
                "reading the command line",
                f"the contract has no image {name!r}",
                hint=f"its images are: {', '.join(self.images)}",
            )
        return {name: self.images[name]}


def find_root() -> Path:
    """Return the project's folder: IMAGEPROOF_ROOT, else the nearest one upward with a contract.

    Without any, return the current folder: loading the contract then says what is missing.
    """
    if named := os.environ.get("IMAGEPROOF_ROOT"):
        return Path(named).resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if _has_contract(folder)), here)


def _has_contract(folder: Path) -> bool:
    try:
        document = tomllib.loads((folder / FILE).read_text())
    except (OSError, ValueError, RecursionError):
        return False
    tool = document.get("tool")
    return isinstance(tool, dict) and "imageproof" in tool


@cache
def load(root: Path | None = None) -> Contract:
    """Read the contract of the project in `root`.

    Raises ContractError with the place of whatever is wrong.
    """
    root = root or find_root()
    doing = f"reading the contract in {FILE}"
    try:
        document = tomllib.loads((root / FILE).read_text())
    except FileNotFoundError:
        raise ContractError(doing, f"there is no {FILE} in {root}", hint=HINT) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContractError(doing, f"not TOML: {error}", hint=HINT) from error
    table = document.get("tool", {}).get("imageproof")
    if not isinstance(table, dict):
        raise ContractError(doing, "there is no table [tool.imageproof]", hint=HINT)
    try:
        return Contract.model_validate({**table, "root": root})
    except ValidationError as error:
        problems = [_place(problem) for problem in error.errors()]
        raise ContractError(doing, problems[0], tail=problems[1:], hint=HINT) from error


def _place(problem: Any) -> str:
    where = ".".join(map(str, ("tool", "imageproof", *problem["loc"])))
    return f"{where}: {problem['msg']}"
