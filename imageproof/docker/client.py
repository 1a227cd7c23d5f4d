"""Client of the Docker engine: by the docker program, and by the library python-on-whales."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker import api
from imageproof.docker.command import follow_lines, read_chunks, stream_lines
from imageproof.docker.compose_command import ComposeProject, read_default_model, read_model
from imageproof.docker.errors import client_missing, translate
from imageproof.docker.known_errors import engine_hint
from imageproof.errors import EngineUnavailable, ImageproofError, StackFailed
from imageproof.signals import deferring, is_deferring
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from python_on_whales import DockerClient

ANSWER_SECONDS = 30.0  # a busy engine takes a second; another server may never answer
_NO_SUCH_IMAGE = re.compile(r"no such image: (\S+)", re.IGNORECASE)


def service_of(container: Mapping[str, Any]) -> str | None:
    """Return the compose or swarm service of a container, None if it belongs to neither."""
    labels = container["Config"].get("Labels") or {}
    if full_name := labels.get("com.docker.swarm.service.name"):  # STACK_SERVICE
        return str(full_name).removeprefix(f"{labels.get('com.docker.stack.namespace')}_")
    service: str | None = labels.get("com.docker.compose.service")
    return service


@dataclass(frozen=True)
class Engine:
    """A Docker engine, and the compose project that a command works on."""

    compose_files: tuple[Path, ...]
    project: str | None = None  # name of the compose project; None: Compose's own choice
    variables: Mapping[str, str] = field(default_factory=dict)  # for Compose, beside os.environ
    program: str = "docker"  # name or path of the docker program
    swarm_stack: str | None = None  # if set, `containers` returns its tasks on this node instead
    context: str | None = None  # docker context of another engine
    host: str | None = None  # another engine, as in DOCKER_HOST
    # The results of `compose_model`, by its arguments.
    _models: dict[tuple[bool, bool], dict[str, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def whales(self) -> DockerClient:
        """The client of python-on-whales. Its import takes 0.3 s, so it happens on first use."""
        from python_on_whales import DockerClient

        return DockerClient(
            compose_files=[str(path) for path in self.compose_files],
            compose_project_name=self.project,
            client_call=self._command_prefix,
        )

    def with_compose_file(self, file: Path) -> Engine:
        """Return the same engine with this one compose file, without any override files."""
        return self if self.compose_files == (file,) else replace(self, compose_files=(file,))

    @property
    def project_name(self) -> str:
        """The name of the compose project: the given one, else Compose's own choice."""
        return self.project or str(self.compose_model(interpolate=True)["name"])

    # --- the docker program

    def query(
        self,
        action: str,
        *arguments: str,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        limit: float | None = None,
        fallback: type[ImageproofError] = StackFailed,
        hint: str | None = None,
    ) -> str:
        """Run a short docker command and return its standard output.

        Args:
            action: what is being done, for error messages, such as "pulling shop:1".
            arguments: the command without `docker`.
            stdin: its standard input.
            environment: variables beside this process's; `self.variables` are not added.
            limit: seconds until the engine counts as silent.
            fallback: error class for output that `translate` does not recognise.
            hint: the fallback error's hint.

        Raises:
            ImageproofError: the command failed.
        """
        result = self._run(action, *arguments, stdin=stdin, environment=environment, limit=limit)
        if result.returncode != 0:
            error = translate(action, result.stderr + result.stdout, fallback, hint)
            raise self._with_own_hint(error)
        return result.stdout

    def request(
        self,
        action: str,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = api.NO_HEADERS,
    ) -> Any:
        """Send a request to the engine's API, and return its answer, decoded from JSON.

        Raises:
            ImageproofError: the engine does not answer, or refuses the request.
        """
        answer = api.exchange(self._command_prefix, action, method, path, body, headers)
        return answer.require_success(action)

    def exchange(self, action: str, method: str, path: str) -> api.Answer:
        """Send a request without a body to the engine's API; see `api.exchange`."""
        return api.exchange(self._command_prefix, action, method, path)

    def compose(self, action: str, *arguments: str) -> str:
        """Run a command of `docker compose` on the project, and return its standard output.

        Args:
            action: what is being done, for error messages.
            arguments: the command without `docker compose` and the project's options.
        """
        command = (*self._compose_options, *arguments)
        return self.query(action, *command, environment=self.variables)

    def stream_compose(
        self, action: str, *arguments: str, idle_seconds: float | None = None
    ) -> Generator[str | None, None, None]:
        """Run a command of `docker compose`, and yield its lines; see `follow_lines`."""
        command = [*self._command_prefix, *self._compose_options, *arguments]
        return follow_lines(command, action, self.variables, idle_seconds)

    def stream(
        self,
        action: str,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str],
        failure: type[ImageproofError] = StackFailed,
    ) -> Generator[str, None, None]:
        """Run a long docker command, and yield the lines of its output and errors as they come.

        Closing the generator ends the command.

        Args:
            action: what is being done, for error messages.
            arguments: the command without `docker`.
            folder: its working folder.
            environment: variables beside this process's; `self.variables` are not added.
            failure: error class for a command that fails; the yielded lines say why.

        Raises:
            EngineUnavailable: there is no docker program.
            ImageproofError: `failure`, after the last line.
        """
        command = [*self._command_prefix, *arguments]
        yield from stream_lines(command, action, folder, environment, failure)

    def start_attached(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a docker command on this program's own standard input and outputs."""
        return subprocess.Popen([*self._command_prefix, *arguments])

    def command(self, *arguments: str) -> list[str]:
        """Return the words of a docker command for this engine."""
        return [*self._command_prefix, *arguments]

    @property
    def _command_prefix(self) -> list[str]:
        """The docker program and its global options."""
        context = ("--context", self.context) if self.context else ()
        host = ("--host", self.host) if self.host else ()
        return [self.program, *context, *host]

    @property
    def _compose_options(self) -> list[str]:
        """The words `compose` and the project's options."""
        files = [word for path in self.compose_files for word in ("--file", str(path))]
        return ["compose", *files, *(("--project-name", self.project) if self.project else ())]

    def _run(
        self,
        action: str,
        *arguments: str,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        # Not by python-on-whales: its import takes as long as several commands, and its objects
        # run `docker inspect` again when an attribute is older than 10 ms.
        try:
            return subprocess.run(
                [*self._command_prefix, *arguments],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                input=stdin,
                env={**os.environ, **(environment or {})},
                start_new_session=is_deferring(),
                timeout=limit,
            )
        except FileNotFoundError as error:
            raise client_missing(action) from error
        except subprocess.TimeoutExpired as error:
            cause = f"no Docker engine answered within {limit:.0f} s"
            raise self._with_own_hint(
                EngineUnavailable(action, cause, hint=engine_hint())
            ) from error

    def _with_own_hint(self, error: ImageproofError) -> ImageproofError:
        """Return an error of an engine that --host or --context chose, with a hint that helps."""
        if (self.host or self.context) and error.hint == engine_hint():
            words = " ".join(self._command_prefix[1:])
            error.hint = f"`docker {words} version` must work: check the host and its engine"
        return error

    # --- the engine and the program

    def require_answer(self) -> None:
        """Raise EngineUnavailable unless an engine answers."""
        self._ask_engine("version", "--format={{.Server.Version}}")

    def identifier(self) -> str:
        """Return the engine's id, which does not depend on the address that reaches it.

        Raises:
            EngineUnavailable: the engine does not answer.
        """
        return self._ask_engine("info", "--format={{.ID}}").strip()

    def _ask_engine(self, *arguments: str) -> str:
        return self.query(
            "contacting the Docker engine",
            *arguments,
            limit=ANSWER_SECONDS,
            fallback=EngineUnavailable,
            hint=engine_hint(),
        )

    def versions(self) -> tuple[str, str | None]:
        """Return the versions of the docker program and of the engine; None: no engine answers.

        Raises:
            EngineUnavailable: there is no docker program.
        """
        action = "reading the docker client's version"
        result = self._run(action, "version", "--format", "{{json .}}", limit=ANSWER_SECONDS)
        # Without an engine the command fails, but prints the program's own version.
        if not result.stdout.strip().startswith("{"):
            raise translate(action, result.stderr, EngineUnavailable, engine_hint())
        versions = json.loads(result.stdout)
        server = versions.get("Server") or {}
        return versions.get("Client", {}).get("Version", "unknown"), server.get("Version")

    def plugin_version(self, name: str) -> str | None:
        """Return the version line of a plugin (buildx, compose), None if it is not installed."""
        result = self._run(f"reading the version of {name}", name, "version")
        return result.stdout.strip() if result.returncode == 0 else None

    def has_context(self, name: str) -> bool:
        """Return whether a docker context of that name exists."""
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
        # The error message adds the default tag `latest` to a reference without one.
        present = [r for r in references if r not in missing and f"{r}:latest" not in missing]
        return dict(zip(present, json.loads(result.stdout), strict=True))

    def history(self, reference: str) -> list[str]:
        """Return the instruction of each entry of an image's history, oldest first."""
        command = ("image", "history", "--no-trunc", "--format=json", reference)
        newest_first = self.query(f"reading the history of {reference}", *command).splitlines()
        return [json.loads(line)["CreatedBy"] for line in reversed(newest_first)]

    def save(self, references: Sequence[str]) -> Generator[bytes, None, None]:
        """Yield the archive of `docker save` in chunks, in half the time of python-on-whales.

        Raises:
            ImageproofError: the command failed; raised after the last chunk.
        """
        action = f"saving {', '.join(references)}"
        return read_chunks([*self._command_prefix, "image", "save", "--", *references], action)

    # --- containers

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return `docker KIND inspect` of several objects, by one command."""
        if not names:
            return []
        output = self.query(f"inspecting {', '.join(names)}", kind, "inspect", *names)
        objects: list[dict[str, Any]] = json.loads(output)
        return objects

    def containers(
        self, services: Sequence[str] = (), *, stopped: bool = True, one_off: bool = False
    ) -> list[dict[str, Any]]:
        """Return `docker inspect` of the containers of the compose project, or of `swarm_stack`.

        Args:
            services: only the containers of these services; all if empty.
            stopped: include stopped containers of a compose project. Those of a swarm stack are
                never included, because Swarm has replaced them.
            one_off: include containers of `docker compose run`.
        """
        labels = self._stack_labels(one_off=one_off)
        filters = [f"--filter=label={label}" for label in labels]
        options = ["--all"] if stopped and not self.swarm_stack else []
        # By label, because `docker compose ps` takes four times as long.
        command = ("container", "ls", "--quiet", "--no-trunc", *filters, *options)
        ids = self.query("listing the stack's containers", *command).split()
        return [
            container
            for container in self.inspect("container", ids)
            if not services or service_of(container) in services
        ]

    def _stack_labels(self, *, one_off: bool) -> list[str]:
        """Return the labels that each container of the project or swarm stack has."""
        if self.swarm_stack:
            return [f"com.docker.stack.namespace={self.swarm_stack}"]
        own = [] if one_off else ["com.docker.compose.oneoff=False"]
        return [f"com.docker.compose.project={self.project_name}", *own]

    def events(self, container: str, since: str, actions: Sequence[str]) -> list[dict[str, Any]]:
        """Return a container's events since a time, oldest first.

        The engine stores only the last 256 events of all its objects together.

        Args:
            container: its id.
            since: a time as in `docker inspect`.
            actions: only these events, such as "start".
        """
        filters = [f"--filter=event={action}" for action in actions]
        output = self.query(
            "reading the engine's events",
            "events",
            "--since",
            since,
            "--until=0s",  # 0 seconds ago; without it the command waits for new events
            "--format={{json .}}",
            f"--filter=container={container}",
            *filters,
        )
        return [json.loads(line) for line in output.splitlines()]

    def logs(self, service: str, lines: int) -> list[str]:
        """Return the last lines of the logs of a service's containers."""
        options = ("--no-log-prefix", "--tail", str(lines))
        entries = self.stream_compose(f"reading the log of {service}", "logs", *options, service)
        return clean_lines("".join(filter(None, entries)))

    def container_log(self, name: str, lines: int) -> list[str]:
        """Return the last lines of one container's log, or a line that says why it has none."""
        try:
            return clean_lines("".join(self.follow_container_log(name, "--tail", str(lines))))
        except StackFailed as error:  # such as the logging driver `none`
            return [str(error)]

    def follow_container_log(self, name: str, *options: str) -> Iterator[str]:
        """Yield the lines of one container's log, both of its outputs."""
        command = [*self._command_prefix, "container", "logs", *options, "--", name]
        with contextlib.closing(follow_lines(command, f"reading the log of {name}", {})) as lines:
            yield from filter(None, lines)

    def remove_container(self, name: str) -> None:
        """Remove a container, a running one too, with its anonymous volumes, if it exists.

        A signal does not interrupt this.
        """
        command = ("container", "rm", "--force", "--volumes", "--", name)
        with deferring(), contextlib.suppress(StackFailed):  # there is none
            self.query(f"removing {name}", *command)

    # --- the compose project, and other objects

    def compose_model(self, *, interpolate: bool, defaults: bool = False) -> dict[str, Any]:
        """Return the output of `docker compose config`. It is read once: each time takes 0.1 s.

        Args:
            interpolate: fill in variables; else they stay as written, and the services of every
                profile are included.
            defaults: fill in each variable's default instead, without the values of .env and the
                environment, and include the services of every profile.

        Raises:
            ConfigurationError: Compose rejects the file.
        """
        key = (interpolate, defaults)
        if key not in self._models:
            project = ComposeProject(
                self._command_prefix, self.compose_files, self.project, self.variables
            )
            if defaults:
                uninterpolated = self.compose_model(interpolate=False)
                self._models[key] = read_default_model(project, uninterpolated)
            else:
                self._models[key] = read_model(project, interpolate=interpolate)
        return self._models[key]

    def names_with_label(self, kind: str, label: str) -> list[str]:
        """Return the names of all containers, networks or volumes with a label.

        Args:
            kind: "container", "network" or "volume".
            label: NAME=VALUE.
        """
        options = ["--all"] if kind == "container" else []
        template = "{{.Names}}" if kind == "container" else "{{.Name}}"
        command = (kind, "ls", *options, "--filter", f"label={label}", "--format", template)
        return self.query(f"listing the engine's {kind}s", *command).split()

    def remove(self, kind: str, names: Sequence[str]) -> None:
        """Remove containers (running ones too), networks or volumes by name."""
        options = [] if kind == "network" else ["--force"]
        self.query(f"removing the engine's {kind}s", kind, "rm", *options, *names)
