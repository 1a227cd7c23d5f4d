"""The one road to Docker: python-on-whales, with its failures turned into this project's.

Everything below the library ends here; nothing here knows a contract's checks or a report.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from imageproof.docker.compose_config import read_model
from imageproof.docker.errors import HINT_ENGINE, no_client, tail_of, translate, translating
from imageproof.errors import EngineUnavailable, ImageproofError, StackFailed

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_MISSING = re.compile(r"no such image: (\S+)", re.IGNORECASE)
_FORGOTTEN = re.compile(r"no such task|task \S+ not found", re.IGNORECASE)

SAVED_CHUNK = 1 << 18

# Options of a container that may do nothing but answer: no network, no privilege, no trace.
CONFINED: dict[str, Any] = {
    "networks": ["none"],
    "cap_drop": ["ALL"],
    "security_options": ["no-new-privileges"],
    "read_only": True,
    "pull": "never",
    "remove": True,
}


def service_of(container: Mapping[str, Any]) -> str | None:
    """The service of the compose file, or of the stack file, that a container belongs to."""
    labels = container["Config"].get("Labels") or {}
    if name := labels.get("com.docker.swarm.service.name"):
        return str(name).removeprefix(f"{labels.get('com.docker.stack.namespace')}_")
    found: str | None = labels.get("com.docker.compose.service")
    return found


@contextlib.contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables for the compose files (None: unset): python-on-whales passes its own on."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        _set(variables)
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@dataclass(frozen=True)
class Engine:
    """A Docker engine, and the compose project that a command is about."""

    compose_files: tuple[Path, ...]
    project: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    client: str = "docker"  # the program, or its path
    swarm_stack: str | None = None  # its containers are tasks of this stack, not Compose's
    context: str | None = None  # of the client: another engine than its usual one
    _models: dict[tuple[bool, bool], dict[str, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def docker(self) -> DockerClient:
        """The client. python-on-whales is imported here, since that takes a third of a second."""
        from python_on_whales import DockerClient

        return DockerClient(
            compose_files=[str(path) for path in self.compose_files],
            compose_project_name=self.project,
            client_call=self._client,
        )

    @property
    def _client(self) -> list[str]:
        return [self.client, *(("--context", self.context) if self.context else ())]

    def require(self) -> None:
        """Raise EngineUnavailable unless an engine answers."""
        self.query(
            "asking for the Docker engine",
            *("version", "--format", "{{.Server.Version}}"),
            fallback=EngineUnavailable,
            hint=HINT_ENGINE,
        )

    def versions(self) -> tuple[str, str | None]:
        """The client's version and the engine's; None where no engine answers.

        Raises EngineUnavailable where there is no client either.
        """
        action = "asking for the docker client"
        result = self._run(action, "version", "--format", "{{json .}}")
        if not result.stdout.strip().startswith("{"):  # without an engine: the client's half
            raise translate(action, result.stderr, EngineUnavailable, HINT_ENGINE)
        found = json.loads(result.stdout)
        server = found.get("Server") or {}
        return found.get("Client", {}).get("Version", "unknown"), server.get("Version")

    def plugin(self, name: str) -> str | None:
        """The version of a plugin of the client, buildx or compose; None where there is none."""
        result = self._run(f"asking for {name}", name, "version")
        return result.stdout.strip() if result.returncode == 0 else None

    def has_context(self, name: str) -> bool:
        """Whether the client knows an engine by that name."""
        return self._run(f"looking for {name}", "context", "inspect", "--", name).returncode == 0

    def image(self, reference: str) -> dict[str, Any] | None:
        """What the engine knows of the local image of that name; None where there is none."""
        return self.images([reference]).get(reference)

    def images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The same of each of these that is there, in one question."""
        action = f"looking for {', '.join(references)}"
        result = self._run(action, "image", "inspect", "--", *references)
        missing = _MISSING.findall(result.stderr)
        if result.returncode != 0 and not missing:
            raise translate(action, result.stderr)
        there = [r for r in references if r not in missing and f"{r}:latest" not in missing]
        return dict(zip(there, json.loads(result.stdout), strict=True))

    def _run(
        self, action: str, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A short question to the client. Not by python-on-whales: its import takes as long as
        several of them, and it asks again for each attribute of an object older than 10 ms."""
        try:
            return subprocess.run(
                [*self._client, *arguments],
                capture_output=True,
                text=True,
                check=False,
                input=stdin,
            )
        except FileNotFoundError as error:
            raise no_client(action) from error

    def query(
        self,
        action: str,
        *arguments: str,
        stdin: str | None = None,
        fallback: type[ImageproofError] = StackFailed,
        hint: str | None = None,
    ) -> str:
        """What the client prints, given that on its standard input: for what no method asks.

        Raises what its words amount to where it fails; `fallback` for words that are not known.
        """
        result = self._run(action, *arguments, stdin=stdin)
        if result.returncode != 0:
            raise translate(action, result.stderr + result.stdout, fallback, hint)
        return result.stdout

    def only(self, file: Path) -> Engine:
        """The same engine with that compose file alone: without what is laid over it."""
        return self if self.compose_files == (file,) else replace(self, compose_files=(file,))

    def compose_model(self, *, interpolate: bool, defaults: bool = False) -> dict[str, Any]:
        """The compose file as Compose reads it: with variables filled in, or as written.

        `defaults`: as if .env and the environment named none of its variables, and with the
        services of every profile. Read once, since each reading takes a process and 0.1 s. Raises
        ConfigurationError where Compose does not accept the file.
        """
        key = (interpolate, defaults)
        if key not in self._models:
            written = self.compose_model(interpolate=False) if defaults else None
            self._models[key] = read_model(
                self._client,
                self.compose_files,
                self.project,
                self.variables,
                interpolate=interpolate,
                without=written,
            )
        return self._models[key]

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Everything that the engine knows of some containers or images, in one call."""
        if not names:
            return []
        answer = self.query(f"inspecting {', '.join(names)}", kind, "inspect", *names)
        found: list[dict[str, Any]] = json.loads(answer)
        return found

    def tasks(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The tasks of a swarm, of these that it still knows: it forgets old ones at any time."""
        action = "asking for the tasks of the swarm"
        result = self._run(action, "inspect", "--type=task", *ids)
        if result.returncode != 0 and not _FORGOTTEN.search(result.stderr):
            raise translate(action, result.stderr)
        found: list[dict[str, Any]] = json.loads(result.stdout or "[]")
        return found

    def history(self, reference: str) -> list[str]:
        """What made each entry of an image's history, oldest first."""
        lines = self.query(
            f"reading the history of {reference}",
            *("image", "history", "--no-trunc", "--format", "json", reference),
        ).splitlines()
        return [json.loads(line)["CreatedBy"] for line in reversed(lines)]

    def containers(
        self, services: Sequence[str] = (), *, stopped: bool = True
    ) -> list[dict[str, Any]]:
        """The containers of the compose project, as `docker inspect` describes them; or those
        tasks of a swarm's stack that run on this node.

        By the labels that Compose and Swarm give them: `compose ps` takes four times as long.
        """
        if self.swarm_stack:
            labels = [f"com.docker.stack.namespace={self.swarm_stack}"]
            stopped = False  # a task that ended is history: its successor counts
        else:
            project = self.project or self.compose_model(interpolate=True)["name"]
            labels = [f"com.docker.compose.project={project}", "com.docker.compose.oneoff=False"]
        filters = [f"--filter=label={label}" for label in labels]
        ids = self.query(
            "listing the stack's containers",
            *("container", "ls", "--quiet", "--no-trunc", *filters),
            *(("--all",) if stopped else ()),
        ).split()
        return [
            container
            for container in self.inspect("container", ids)
            if not services or service_of(container) in services
        ]

    def events(self, container: str, since: str, kinds: Sequence[str]) -> list[dict[str, Any]]:
        """What happened to a container since a time, oldest first, as far as the engine knows.

        It forgets all but the last 256 events of all its objects.
        """
        filters = [f"container={container}", *(f"event={kind}" for kind in kinds)]
        options = [word for text in filters for word in ("--filter", text)]
        answer = self.query(
            "asking for the engine's events",
            *("events", "--since", since, "--until", "0s", "--format", "{{json .}}", *options),
        )
        return [json.loads(line) for line in answer.splitlines()]

    def save(self, references: Sequence[str]) -> Generator[bytes, None, None]:
        """Images as `docker save` gives them, a chunk at a time.

        Not by python-on-whales, whose stream takes twice as long. Raises what the engine's words
        amount to, after the last chunk.
        """
        action = f"saving {', '.join(references)}"
        with tempfile.TemporaryFile() as errors, self._saving(action, references, errors) as run:
            assert run.stdout is not None
            try:
                while chunk := run.stdout.read(SAVED_CHUNK):
                    yield chunk
            except BaseException:  # who reads has enough, or was interrupted
                run.kill()
                raise
            if run.wait() != 0:
                errors.seek(0)
                raise translate(action, errors.read().decode(errors="replace"))

    def _saving(
        self, action: str, references: Sequence[str], errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        command = [*self._client, "image", "save", "--", *references]
        try:
            return subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=errors)
        except FileNotFoundError as error:
            raise no_client(action) from error

    def labelled(self, kind: str, label: str) -> list[str]:
        """The names of all containers, networks or volumes with that label."""
        name = "{{.Names}}" if kind == "container" else "{{.Name}}"
        options = ["--all"] if kind == "container" else []
        return self.query(
            f"listing the engine's {kind}s",
            *(kind, "ls", *options, "--filter", f"label={label}", "--format", name),
        ).split()

    def remove(self, kind: str, names: Sequence[str]) -> None:
        """Remove containers, networks or volumes by name, whatever state they are in."""
        force = () if kind == "network" else ("--force",)
        self.query(f"removing the engine's {kind}s", kind, "rm", *force, *names)

    def foreground(self, *arguments: str) -> None:
        """A compose command that holds the terminal until it ends."""
        from python_on_whales.utils import run

        run(
            [*self.docker.compose.docker_compose_cmd, *arguments],
            capture_stdout=False,
            capture_stderr=False,
        )

    def logs(self, service: str, lines: int) -> list[str]:
        """The last lines that a service logged."""
        with translating(f"reading the log of {service}"), environment(self.variables):
            text = self.docker.compose.logs(service, tail=str(lines), no_log_prefix=True)
        return tail_of(str(text))
