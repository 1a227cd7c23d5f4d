"""The client of the Docker engine, by python-on-whales and by the docker command."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.command import read_chunks, stream_lines
from imageproof.docker.compose_command import read_model
from imageproof.docker.environment import temporary_environment
from imageproof.docker.errors import HINT_ENGINE, client_missing, translate, translating
from imageproof.errors import EngineUnavailable, ImageproofError, StackFailed
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_NO_SUCH_IMAGE = re.compile(r"no such image: (\S+)", re.IGNORECASE)
_NO_SUCH_TASK = re.compile(r"no such task|task \S+ not found", re.IGNORECASE)


def service_of(container: Mapping[str, Any]) -> str | None:
    """Return the compose or swarm service of a container, None if it belongs to neither."""
    labels = container["Config"].get("Labels") or {}
    if name := labels.get("com.docker.swarm.service.name"):
        return str(name).removeprefix(f"{labels.get('com.docker.stack.namespace')}_")
    service: str | None = labels.get("com.docker.compose.service")
    return service


@dataclass(frozen=True)
class Engine:
    """A Docker engine, and the compose project that a command works on."""

    compose_files: tuple[Path, ...]
    project: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    client: str = "docker"  # name or path of the program
    swarm_stack: str | None = None  # if set, the containers are this stack's tasks on this node
    context: str | None = None  # docker context of another engine
    _models: dict[tuple[bool, bool], dict[str, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def docker(self) -> DockerClient:
        """The python-on-whales client. Its import takes 0.3 s, so it happens on first use."""
        from python_on_whales import DockerClient

        return DockerClient(
            compose_files=[str(path) for path in self.compose_files],
            compose_project_name=self.project,
            client_call=self._command,
        )

    def with_compose_file(self, file: Path) -> Engine:
        """Return the same engine with this one compose file, without any override files."""
        return self if self.compose_files == (file,) else replace(self, compose_files=(file,))

    # --- the docker command

    def query(
        self,
        action: str,
        *arguments: str,
        stdin: str | None = None,
        fallback: type[ImageproofError] = StackFailed,
        hint: str | None = None,
    ) -> str:
        """Run a short docker command and return its standard output.

        Args:
            action: what an error says was being done.
            arguments: the command without `docker`.
            stdin: its standard input.
            fallback: the error to raise if the output names no known one.
            hint: the hint of that error.

        Raises:
            ImageproofError: the error that the command's output names, or `fallback`.
        """
        result = self._run(action, *arguments, stdin=stdin)
        if result.returncode != 0:
            raise translate(action, result.stderr + result.stdout, fallback, hint)
        return result.stdout

    def stream(
        self,
        action: str,
        *arguments: str,
        folder: Path,
        variables: Mapping[str, str],
        fallback: type[ImageproofError] = StackFailed,
    ) -> Generator[str, None, None]:
        """Run a long docker command, and yield the lines of its output and errors as they come.

        Closing the generator ends the command.

        Args:
            action: what an error says was being done.
            arguments: the command without `docker`.
            folder: its working folder.
            variables: environment variables beside this process's.
            fallback: the error to raise if the command fails; the lines say why.

        Raises:
            EngineUnavailable: there is no docker client.
            ImageproofError: `fallback`, after the last line.
        """
        command = [*self._command, *arguments]
        yield from stream_lines(command, action, folder, variables, fallback)

    def run_compose(self, *arguments: str) -> None:
        """Run a compose command in the foreground, on this terminal, until it ends."""
        from python_on_whales.utils import run

        run(
            [*self.docker.compose.docker_compose_cmd, *arguments],
            capture_stdout=False,
            capture_stderr=False,
        )

    @property
    def _command(self) -> list[str]:
        return [self.client, *(("--context", self.context) if self.context else ())]

    def _run(
        self, action: str, *arguments: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        # Not python-on-whales: its import takes as long as several commands, and it inspects an
        # object again for each attribute that is read more than 10 ms later.
        try:
            return subprocess.run(
                [*self._command, *arguments],
                capture_output=True,
                text=True,
                check=False,
                input=stdin,
            )
        except FileNotFoundError as error:
            raise client_missing(action) from error

    # --- the engine and its client

    def require(self) -> None:
        """Raise EngineUnavailable unless an engine answers."""
        self.query(
            "contacting the Docker engine",
            *("version", "--format", "{{.Server.Version}}"),
            fallback=EngineUnavailable,
            hint=HINT_ENGINE,
        )

    def versions(self) -> tuple[str, str | None]:
        """Return the versions of the client and of the engine; None if no engine answers.

        Raises:
            EngineUnavailable: there is no client.
        """
        action = "reading the docker client's version"
        result = self._run(action, "version", "--format", "{{json .}}")
        if not result.stdout.strip().startswith("{"):  # without an engine: the client's part
            raise translate(action, result.stderr, EngineUnavailable, HINT_ENGINE)
        versions = json.loads(result.stdout)
        server = versions.get("Server") or {}
        return versions.get("Client", {}).get("Version", "unknown"), server.get("Version")

    def plugin_version(self, name: str) -> str | None:
        """Return the version line of a client plugin (buildx, compose), None if not installed."""
        result = self._run(f"reading the version of {name}", name, "version")
        return result.stdout.strip() if result.returncode == 0 else None

    def has_context(self, name: str) -> bool:
        """Return whether the client has a docker context of that name."""
        result = self._run(f"looking for the context {name}", "context", "inspect", "--", name)
        return result.returncode == 0

    # --- images

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return `docker image inspect` of a local image, None if there is no such image."""
        return self.images([reference]).get(reference)

    def images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return `docker image inspect` of local images by reference, without missing ones."""
        action = f"looking for {', '.join(references)}"
        result = self._run(action, "image", "inspect", "--", *references)
        missing = _NO_SUCH_IMAGE.findall(result.stderr)
        if result.returncode != 0 and not missing:
            raise translate(action, result.stderr)
        present = [r for r in references if r not in missing and f"{r}:latest" not in missing]
        return dict(zip(present, json.loads(result.stdout), strict=True))

    def history(self, reference: str) -> list[str]:
        """Return the instruction of each entry of an image's history, oldest first."""
        lines = self.query(
            f"reading the history of {reference}",
            *("image", "history", "--no-trunc", "--format", "json", reference),
        ).splitlines()
        return [json.loads(line)["CreatedBy"] for line in reversed(lines)]

    def save(self, references: Sequence[str]) -> Generator[bytes, None, None]:
        """Yield the archive of `docker save` in chunks. python-on-whales takes twice as long.

        Raises:
            ImageproofError: the command failed; raised after the last chunk.
        """
        action = f"saving {', '.join(references)}"
        return read_chunks([*self._command, "image", "save", "--", *references], action)

    # --- containers

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return `docker KIND inspect` of several objects, by one command."""
        if not names:
            return []
        output = self.query(f"inspecting {', '.join(names)}", kind, "inspect", *names)
        objects: list[dict[str, Any]] = json.loads(output)
        return objects

    def containers(
        self, services: Sequence[str] = (), *, stopped: bool = True
    ) -> list[dict[str, Any]]:
        """Return `docker inspect` of the stack's containers: of the compose project, or of the
        swarm stack's running tasks on this node.

        They are found by label, because `compose ps` takes four times as long.

        Args:
            services: only the containers of these services; all if empty.
            stopped: include stopped containers of a compose project.
        """
        if self.swarm_stack:
            labels = [f"com.docker.stack.namespace={self.swarm_stack}"]
            stopped = False  # Swarm has replaced a task that ended
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
        """Return a container's events since a time, oldest first.

        The engine keeps the last 256 events of all its objects only.
        """
        filters = [f"container={container}", *(f"event={kind}" for kind in kinds)]
        options = [word for text in filters for word in ("--filter", text)]
        output = self.query(
            "reading the engine's events",
            *("events", "--since", since, "--until", "0s", "--format", "{{json .}}", *options),
        )
        return [json.loads(line) for line in output.splitlines()]

    def logs(self, service: str, lines: int) -> list[str]:
        """Return the last lines of a service's log."""
        action = f"reading the log of {service}"
        with translating(action), temporary_environment(self.variables):
            text = self.docker.compose.logs(service, tail=str(lines), no_log_prefix=True)
        return clean_lines(str(text))

    def tasks(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return `docker inspect` of swarm tasks, without those that Swarm has forgotten."""
        action = "inspecting the tasks of the swarm"
        result = self._run(action, "inspect", "--type=task", *ids)
        if result.returncode != 0 and not _NO_SUCH_TASK.search(result.stderr):
            raise translate(action, result.stderr)
        tasks: list[dict[str, Any]] = json.loads(result.stdout or "[]")
        return tasks

    # --- the compose project, and other objects

    def compose_model(self, *, interpolate: bool, defaults: bool = False) -> dict[str, Any]:
        """Return the output of `docker compose config`. Read once: it takes 0.1 s.

        Args:
            interpolate: fill in variables; else they stay as written.
            defaults: use each variable's default, whatever .env and the environment say, and
                include the services of every profile.

        Raises:
            ConfigurationError: Compose rejects the file.
        """
        key = (interpolate, defaults)
        if key not in self._models:
            written = self.compose_model(interpolate=False) if defaults else None
            self._models[key] = read_model(
                self._command,
                self.compose_files,
                self.project,
                self.variables,
                interpolate=interpolate,
                without_variables_of=written,
            )
        return self._models[key]

    def names_with_label(self, kind: str, label: str) -> list[str]:
        """Return the names of all containers, networks or volumes with a label."""
        name = "{{.Names}}" if kind == "container" else "{{.Name}}"
        options = ["--all"] if kind == "container" else []
        return self.query(
            f"listing the engine's {kind}s",
            *(kind, "ls", *options, "--filter", f"label={label}", "--format", name),
        ).split()

    def remove(self, kind: str, names: Sequence[str]) -> None:
        """Remove containers (running ones too), networks or volumes by name."""
        force = () if kind == "network" else ("--force",)
        self.query(f"removing the engine's {kind}s", kind, "rm", *force, *names)
