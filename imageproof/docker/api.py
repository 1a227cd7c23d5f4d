"""Requests to the engine's API, for what the docker program has no command for.

`docker system dial-stdio` connects to the engine of a host or context, over ssh or TLS too.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from imageproof.docker.errors import client_missing, translate
from imageproof.docker.known_errors import HINT_ENGINE
from imageproof.errors import EngineUnavailable

FIRST_ERROR_STATUS = 400
ERROR_SECONDS = 5.0  # until the program has printed why there is no answer
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Answer:
    """The engine's answer to one request."""

    status: int
    headers: Mapping[str, str]  # names as in `Content-Type`
    body: bytes

    def require_success(self, action: str) -> Any:
        """Return the body, decoded from JSON. Raises ImageproofError if the engine refused."""
        text = self.body.decode(errors="replace")
        if self.status >= FIRST_ERROR_STATUS:
            raise translate(action, _message(text))
        return json.loads(text) if text.strip() else None


def exchange(
    command_prefix: Sequence[str],
    action: str,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Answer:
    """Send one request to the engine, and return its answer.

    Args:
        command_prefix: the docker program and its global options.
        action: what is being done, for error messages.
        method: GET or POST.
        path: path and query, such as "/services/create".
        body: sent as JSON.
        headers: sent beside those for JSON.

    Raises:
        EngineUnavailable: there is no docker program, or the engine does not answer.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as errors:
        command = [*command_prefix, "system", "dial-stdio"]
        try:
            process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=errors
            )
        except FileNotFoundError as error:
            raise client_missing(action) from error
        theirs.close()  # else a program that ends early would not end the connection
        with process:
            try:
                return _exchange(ours, method, path, body, headers)
            except (OSError, http.client.HTTPException):
                ours.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(ERROR_SECONDS)
                process.kill()
                errors.seek(0)
                output = errors.read().decode(errors="replace")
                raise translate(action, output, EngineUnavailable, HINT_ENGINE) from None
            except BaseException:  # a signal arrived
                process.kill()
                raise
            finally:
                ours.close()


def _exchange(
    connected: socket.socket, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> Answer:
    connection = http.client.HTTPConnection("docker")
    connection.sock = connected
    text = None if body is None else json.dumps(body)
    always = {"Content-Type": "application/json", "Connection": "close"}
    connection.request(method, path, body=text, headers={**headers, **always})
    with connection.getresponse() as response:
        names = {name.title(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
