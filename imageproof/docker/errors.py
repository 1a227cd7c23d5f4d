"""Translation of the docker client's error output into this project's errors.

`str(DockerException)` contains the whole command line with its build arguments, so errors show the
client's output only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from imageproof.errors import (
    ConfigurationError,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    PortTaken,
    StackFailed,
)
from imageproof.terminal_text import clean_lines

HINT_ENGINE = "`./inv doctor` shows what is wrong; as root, `./inv provision` fixes it"

# The docker command has no error codes, so errors are recognised by their text.
_UNAVAILABLE = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|error during connect"
    r"|dial unix|rpc error: code = unavailable|transport is closing|closing transport"
    r"|error reading from server",
    re.IGNORECASE,
)
# During an election, and when half of the managers are lost.
_LEADERLESS = re.compile(r"swarm does not have a leader|code = DeadlineExceeded", re.IGNORECASE)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_PORT = re.compile(r"port is already allocated|address already in use", re.IGNORECASE)
_PORT_NUMBER = re.compile(r"(?:\b\d{1,3}(?:\.\d{1,3}){3}|\]):(\d{1,5})\b")
_CONFIGURATION = re.compile(
    r"failed to read .*\.env|unexpected character .* in variable name|\.env.*line \d+"
    r"|yaml: |validating .*compose|invalid interpolation format|undefined (?:service|network)"
    r"|additional properties|services\.[\w.-]+ must be|invalid (?:proto|hostport|containerport)"
    r"|invalid ip address|services\..* contains an invalid|can't evaluate",
    re.IGNORECASE,
)
_HELP = re.compile(r"(?:Run|See) 'docker .*--help'")  # the client's last line


def translate(
    action: str, stderr: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> ImageproofError:
    """Return the error that the docker client's output describes.

    Args:
        action: what was being done.
        stderr: the client's output.
        fallback: the error for an unknown output; its last line becomes the cause.
        hint: the hint of that error.
    """
    tail = [line for line in clean_lines(stderr) if not _HELP.match(line)]
    if _NO_SPACE.search(stderr):
        return NoSpace(
            action,
            "no space is left on the engine's disk",
            tail=tail,
            hint="`docker system df` shows what uses it; `./inv clean` removes this project's part",
        )
    if _PORT.search(stderr):
        number = _PORT_NUMBER.search(stderr)
        port = f"port {number[1]}" if number else "a port"
        return PortTaken(
            action,
            f"{port} is already in use by another program",
            tail=tail,
            hint="stop that program, or choose another host port in the compose file",
        )
    if _LEADERLESS.search(stderr):
        return EngineUnavailable(
            action,
            "the swarm has no leader",
            tail=tail,
            hint="managers elect a leader within seconds if more than half of them are running",
        )
    if _UNAVAILABLE.search(stderr):
        return EngineUnavailable(
            action, "the Docker engine does not answer", tail=tail, hint=HINT_ENGINE
        )
    if _CONFIGURATION.search(stderr):
        return ConfigurationError(
            action,
            "the compose file or .env is wrong",
            tail=tail,
            hint="run `docker compose config` to check it; .env has one NAME=value on each line",
        )
    return fallback(
        action, tail[-1] if tail else "the engine gave no reason", tail=tail[:-1], hint=hint
    )


@contextlib.contextmanager
def translating(
    action: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> Iterator[None]:
    """Translate the exceptions of python-on-whales into an ImageproofError; see `translate`."""
    from python_on_whales import DockerException
    from python_on_whales.client_config import ClientNotFoundError

    try:
        yield
    except DockerException as error:
        output = (error.stderr or "") + (error.stdout or "")
        raise translate(action, output, fallback, hint) from error
    except ClientNotFoundError as error:
        raise client_missing(action) from error


def client_missing(action: str) -> EngineUnavailable:
    """Return the error for a docker client that is not installed."""
    return EngineUnavailable(action, "there is no docker client on PATH", hint=HINT_ENGINE)
