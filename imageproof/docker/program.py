"""The docker program: commands for one engine, and requests to its API."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof.docker import api
from imageproof.docker.command import stream_lines
from imageproof.docker.errors import client_missing, translate
from imageproof.docker.known_errors import engine_hint
from imageproof.errors import EngineUnavailable, ImageproofError, StackFailed
from imageproof.signals import is_deferring

ANSWER_SECONDS = 30.0  # a busy engine takes a second; another server may never answer


@dataclass(frozen=True, kw_only=True)
class DockerProgram:
    """The docker program, and the engine that it talks to."""

    program: str = "docker"  # its name or path
    context: str | None = None  # docker context of another engine
    host: str | None = None  # another engine, as in DOCKER_HOST

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
