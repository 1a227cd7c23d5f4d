"""Models of the contract: every key of `[tool.imageproof]`, with its meaning and default.

An unknown key is an error, so that a typo never disables a check. The compose file says how an
image is built; the contract names the compose service.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, field_validator

from imageproof.errors import UsageError
from imageproof.suggestion import did_you_mean


class Model(BaseModel):
    """Frozen table that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _require_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return value


Pattern = Annotated[str, AfterValidator(_require_pattern)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Waivers = dict[str, Annotated[str, Field(min_length=10)]]


class Program(Model):
    """Program that must run in the image, and the output that it must print."""

    arguments: tuple[str, ...] = Field(
        ("--version",), description="Arguments that the program is run with."
    )
    answers: Pattern = Field(
        description="Regular expression that the first line of output must match."
    )


class Smoke(Model):
    """Smoke test: a command that is run in the image as its user, without network."""

    command: tuple[str, ...] = Field(
        min_length=1, description="Command to run; it must exit with status 0."
    )
    answers: Pattern = Field(
        "", description="Regular expression that must match somewhere in the output."
    )
    within: Seconds = Field(60, description="Time limit of the command, in seconds.")


class Health(Model):
    """Health of the service: its HTTP path, and time limits."""

    path: str | None = Field(
        None, pattern="^/", description="HTTP path that returns status 200 when healthy."
    )
    port: Port | None = Field(None, description="Port of `path` in the container.")
    notices_within: Seconds = Field(
        description="Upper limit in seconds for (interval + timeout) x retries of the health "
        "check: the time until a failure is noticed."
    )
    ready_within: Seconds = Field(60, description="Time limit from start to healthy, in seconds.")


class Environment(Model):
    """Settings class that reads the service's environment."""

    settings: str = Field(
        pattern=r"^[\w.]+:\w+$",
        description="Class of pydantic-settings as `module:Class`; its variables and defaults must "
        "match the compose file and the `env_example` file. `lint`, `verify` (with `--static` too) "
        "and `up` run its module to read it, by imageproof's own Python: in another process, for "
        "at most 60 s, without this shell's variables except PATH, PYTHONPATH, HOME, TMPDIR and "
        "the locale's.",
    )


class ServiceContract(Model):
    """Contract of one image and the service that runs it."""

    service: str = Field(
        description="Compose service that builds and runs the image; its `image:` is the tag."
    )
    size: ByteSize = Field(
        description='Size budget: bytes of all layers, uncompressed, as in "54.6MB".'
    )
    user: str = Field(
        pattern=r"^[1-9]\d*:[1-9]\d*$", description="User as numeric `uid:gid`, not root."
    )
    command: tuple[str, ...] = Field(
        min_length=1, description="Entrypoint and command of the image, joined."
    )
    ports: tuple[Port, ...] = Field(
        (), description="Ports that the image exposes and the service listens on; no others."
    )
    programs: dict[str, Program] = Field(
        {}, description="Programs that must run in the image, by name."
    )
    smoke: tuple[Smoke, ...] = Field((), description="Smoke tests, run in the image.")
    required: tuple[str, ...] = Field(
        (), description="Absolute paths that must exist in the image; globs are allowed."
    )
    absent: tuple[str, ...] = Field(
        (),
        description="Content that must not be in the image: a program's name, an absolute path or "
        "glob, or a package as `kind:name` (`dpkg`, `apk`, `python`, `npm`).",
    )
    writable: tuple[str, ...] = Field(
        (), description="Absolute paths that the user may write to; no others."
    )
    lock: str | None = Field(
        None,
        description="Lock file of the Python packages (pip's requirements format). Without it, "
        "Python packages are not compared.",
    )
    npm_lock: str | None = Field(
        None,
        description="`package-lock.json` of the npm packages. Without it, npm packages are not "
        "compared.",
    )
    packages: tuple[str, ...] | None = Field(
        None,
        description="Globs of the distribution's packages that may be installed. Without it, they "
        "are not compared.",
    )
    bytecode: Literal["all", "none", "any"] = Field(
        "any",
        description="Python bytecode in the image: `all` modules compiled, `none`, or `any`.",
    )
    growth: ByteSize = Field(
        ByteSize(500_000), description="Growth allowed since the recorded size, in bytes."
    )
    waste: ByteSize = Field(
        ByteSize(1_000_000),
        description="Bytes allowed in files that a later layer hides or repeats.",
    )
    health: Health = Field(description="Health of the service.")
    workdir: str | None = Field(
        None, description="Working directory of the program. Without it, any absolute path."
    )
    volumes: tuple[str, ...] = Field(
        (), description="Absolute paths that the image declares as volumes; no others."
    )
    stop_signal: str = Field("SIGTERM", description="Signal that stops the service.")
    stop_timeout: Seconds = Field(
        10, description="Time limit from the stop signal to the exit, in seconds."
    )
    labels: tuple[str, ...] = Field((), description="Labels that must be set and not empty.")
    env: dict[str, str] = Field(
        {}, description="Environment variables that the image must set, with their values."
    )
    environment: Environment | None = Field(
        None, description="Settings class that reads the service's environment."
    )
    waivers: Waivers = Field(
        {},
        description="Check id and the reason (at least 10 characters) why the image may fail it.",
    )

    @field_validator("writable", "required", "volumes")
    @classmethod
    def _require_absolute(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith("/"):
                raise ValueError(f"{path!r} is not an absolute path")
        return paths

    @property
    def uid(self) -> int:
        """Numeric user id."""
        return int(self.user.split(":")[0])

    @property
    def gid(self) -> int:
        """Numeric group id."""
        return int(self.user.split(":")[1])


class Base(Model):
    """Base image of all images, and how to make it if it cannot be pulled."""

    image: str = Field("python:3.11-slim", description="Base image, unless `variable` is set.")
    variable: str = Field(
        "PYTHON_BASE", description="Environment variable that names another base image."
    )
    suite: str = Field(
        "bookworm", description="Debian suite of a base image that is made on this machine."
    )
    packages: tuple[str, ...] = Field(
        ("python3.11", "python3.11-venv", "ca-certificates"),
        description="Packages of a base image that is made on this machine, besides Debian's "
        "minimum.",
    )

    @property
    def local_tag(self) -> str:
        """Tag of the base image that is made on this machine from Debian's packages."""
        matches = (re.fullmatch(r"python(3(?:\.\d+)?)", package) for package in self.packages)
        python = next((match[1] for match in matches if match), "none")
        return f"imageproof/python-base:{python}-{self.suite}"


class Tool(Model):
    """Program that only the project's tests need on the machine."""

    programs: tuple[str, ...] = Field(
        min_length=1, description="Names of the program; one of them must be on PATH."
    )
    package: str = Field(description="Package of the distribution that installs it.")


class Contract(Model):
    """Whole contract of a project; `root` is the project's folder."""

    root: Path
    compose: str = Field("compose.yaml", description="Compose file of the stack.")
    stack: str | None = Field(
        None,
        description="Stack file of the same services for Docker Swarm. Without it, there is no "
        "`deploy`.",
    )
    watch: str | None = Field(
        None,
        description="Compose overlay with the `develop` sections for `watch`. Without it, those of "
        "the compose file apply.",
    )
    env_example: str = Field(
        ".env.example", description="File that documents the environment variables."
    )
    dockerfiles: tuple[str, ...] = Field(
        ("Dockerfile", "Dockerfile.*", "*/Dockerfile", "*/Dockerfile.*"),
        description="Globs of the Dockerfiles to lint.",
    )
    baseline: str | None = Field(
        None,
        description="File of the recorded sizes (`./inv size --record`). Without it, growth is not "
        "checked.",
    )
    base: Base = Field(Base(), description="Base image of all images.")
    tools: dict[str, Tool] = Field(
        {}, description="Programs that only the project's tests need, by name."
    )
    waivers: Waivers = Field(
        {},
        description="Id of a check of the whole project, and the reason (at least 10 characters) "
        "why the project may fail it.",
    )
    images: dict[str, ServiceContract] = Field(min_length=1, description="Images, by name.")

    @property
    def compose_file(self) -> Path:
        """Absolute path of the compose file."""
        return self.root / self.compose

    @property
    def stack_file(self) -> Path | None:
        """Absolute path of the stack file for Docker Swarm; None if the contract names none."""
        return self.root / self.stack if self.stack else None

    def select(self, name: str | None) -> dict[str, ServiceContract]:
        """Return the images that a name on the command line selects; all of them for None.

        Raises:
            UsageError: The contract has no image of that name.
        """
        if name is None:
            return dict(self.images)
        if name not in self.images:
            raise UsageError(
                "reading the command line",
                f"the contract has no image {name!r}",
                hint=did_you_mean(name, self.images) + f"its images are: {', '.join(self.images)}",
            )
        return {name: self.images[name]}
