"""Client of the Docker engine: by the docker program, and by the library python-on-whales."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.docker.command import follow_lines, read_chunks
from imageproof.docker.compose_command import ComposeProject, read_default_model, read_model
from imageproof.docker.errors import translate
from imageproof.docker.program import DockerProgram
from imageproof.errors import StackFailed
from imageproof.signals import deferring
from imageproof.terminal_text import clean_lines

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_NO_SUCH_IMAGE = re.compile(r"no such image: (\S+)", re.IGNORECASE)


def service_of(container: Mapping[str, Any]) -> str | None:
    """Return the compose or swarm service of a container, None if it belongs to neither."""
    labels = container["Config"].get("Labels") or {}
    if full_name := labels.get("com.docker.swarm.service.name"):  # STACK_SERVICE
        return str(full_name).removeprefix(f"{labels.get('com.docker.stack.namespace')}_")
    service: str | None = labels.get("com.docker.compose.service")
    return service


@dataclass(frozen=True)
class Engine(DockerProgram):
    """A Docker engine, and the compose project that a command works on."""

    compose_files: tuple[Path, ...]
    project: str | None = None  # name of the compose project; None: Compose's own choice
    variables: Mapping[str, str] = field(default_factory=dict)  # for Compose, beside os.environ
    swarm_stack: str | None = None  # if set, `containers` returns its tasks on this node instead
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

    # --- docker compose

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

    @property
    def _compose_options(self) -> list[str]:
        """The words `compose` and the project's options."""
        files = [word for path in self.compose_files for word in ("--file", str(path))]
        return ["compose", *files, *(("--project-name", self.project) if self.project else ())]

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
