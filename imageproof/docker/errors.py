"""The engine's own words, and the errors of this project that they amount to.

`str(DockerException)` prints the whole command line, build arguments included, so only the
engine's own words (its standard error) are ever passed on.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.errors import (
    ConfigurationError,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    PortTaken,
    StackFailed,
)

if TYPE_CHECKING:
    from python_on_whales.exceptions import DockerException

HINT_ENGINE = "`./inv doctor` shows what is wrong; as root, `./inv provision` mends it"

# The engine has no error codes on its command line: its words are all there is.
_UNAVAILABLE = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|error during connect"
    r"|dial unix|rpc error: code = unavailable|transport is closing|closing transport"
    r"|error reading from server",
    re.IGNORECASE,
)
# While managers elect one of them, and when half of them are gone.
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
_HELP = re.compile(r"(?:Run|See) 'docker .*--help'")  # what the client says last


# Escape sequences (ECMA-48): Compose writes some even where there is no terminal.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")


def plain(line: str) -> str:
    """A line of somebody else's output without what would steer a terminal."""
    return _ESCAPE.sub("", line).rstrip()


def tail_of(text: str | None) -> list[str]:
    """The lines of a log that say something."""
    return [cleaned for line in (text or "").splitlines() if (cleaned := plain(line))]


def translate(
    action: str, stderr: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> ImageproofError:
    """The error that the engine's own words amount to."""
    tail = [line for line in tail_of(stderr) if not _HELP.match(line)]
    if _NO_SPACE.search(stderr):
        return NoSpace(
            action,
            "no space is left for the engine",
            tail=tail,
            hint="`docker system df` shows what takes it; `./inv clean` removes this project's",
        )
    if _PORT.search(stderr):
        number = _PORT_NUMBER.search(stderr)
        port = f"port {number[1]}" if number else "a port"
        return PortTaken(
            action,
            f"{port} is taken by another program",
            tail=tail,
            hint="end that program, or choose another host port where the compose file has it",
        )
    if _LEADERLESS.search(stderr):
        return EngineUnavailable(
            action,
            "the swarm has no leader",
            tail=tail,
            hint="managers elect one within seconds, if more than half of them are there",
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
            hint="`docker compose config` shows the whole; .env takes one NAME=value a line",
        )
    return fallback(
        action, tail[-1] if tail else "the engine gave no reason", tail=tail[:-1], hint=hint
    )


@contextlib.contextmanager
def translating(
    action: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> Iterator[None]:
    """Turn whatever python-on-whales raises into an ImageproofError."""
    from python_on_whales import DockerException
    from python_on_whales.client_config import ClientNotFoundError

    try:
        yield
    except DockerException as error:
        raise translate(action, _words(error), fallback, hint) from error
    except ClientNotFoundError as error:
        raise no_client(action) from error


def no_client(action: str) -> EngineUnavailable:
    """The docker client is not installed."""
    return EngineUnavailable(action, "there is no docker client on PATH", hint=HINT_ENGINE)


def _words(error: DockerException) -> str:
    return (error.stderr or "") + (error.stdout or "")
