"""Translation of the docker program's error output into this project's errors.

`str(DockerException)` contains the whole command line with its build arguments, so errors show the
program's output only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from imageproof.docker.registry_errors import names_registry, registry_error
from imageproof.errors import (
    BaseUnavailable,
    ConfigurationError,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    PortTaken,
    RegistryUnavailable,
    StackFailed,
)
from imageproof.terminal_text import clean_lines

HINT_ENGINE = "`./inv doctor` shows what is wrong; as root, `./inv provision` fixes it"


class _KnownError(NamedTuple):
    pattern: re.Pattern[str]
    error: type[ImageproofError]
    cause: str  # "{port}" becomes the port in the output
    hint: str


def _known(pattern: str, error: type[ImageproofError], cause: str, hint: str) -> _KnownError:
    return _KnownError(re.compile(pattern, re.IGNORECASE), error, cause, hint)


# The docker program has no error codes, so errors are recognised by their text. The first match
# counts: the text about a full disk or a missing leader can also say that a call was unavailable.
_KNOWN_ERRORS = (
    _known(
        r"no space left on device|disk quota exceeded",
        NoSpace,
        "no space is left on the engine's disk",
        "`docker system df` shows what uses it; `./inv clean` removes this project's part",
    ),
    _known(
        r"port is already allocated|address already in use",
        PortTaken,
        "{port} is already in use by another program",
        "stop that program, or choose another host port in the compose file",
    ),
    _known(  # during an election, and when half of the managers are lost
        r"swarm does not have a leader|code = DeadlineExceeded",
        EngineUnavailable,
        "the swarm has no leader",
        "managers elect a leader within seconds if more than half of them are running",
    ),
    _known(
        r"cannot connect to the docker daemon|is the docker daemon running|error during connect"
        r"|dial unix|rpc error: code = unavailable|transport is closing|closing transport"
        r"|error reading from server",
        EngineUnavailable,
        "the Docker engine does not answer",
        HINT_ENGINE,
    ),
    _known(
        r"failed to read .{0,500}\.env|unexpected character .{0,50} in variable name"
        r"|\.env.{0,50}line \d+|yaml: |validating .{0,500}compose|invalid interpolation format"
        r"|undefined (?:service|network)|additional properties|services\.[\w.-]{1,500} must be"
        r"|invalid (?:proto|hostport|containerport)|invalid ip address"
        r"|services\..{0,500} contains an invalid|can't evaluate",
        ConfigurationError,
        "the compose file or .env is wrong",
        "run `docker compose config` to check it; .env has one NAME=value on each line",
    ),
)
# A port after an IPv4 address, or after an IPv6 address in brackets.
_PORT = re.compile(r"(?:\b\d{1,3}(?:\.\d{1,3}){3}|\]):(\d{1,5})\b")
# Actions that use a registry: other errors are read as a registry's only if their text names one.
_REGISTRY_FALLBACKS = (RegistryUnavailable, BaseUnavailable)
_ADVICE = re.compile(r"(?:Run|See) 'docker .*--help'")  # the last line of many errors


def translate(
    action: str, output: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> ImageproofError:
    """Return the error that the docker program's output describes.

    Args:
        action: what is being done, for error messages, such as "pulling shop:1".
        output: the program's output.
        fallback: error class for output that is not recognised. Its last line becomes the cause.
        hint: the fallback error's hint.
    """
    lines = [line for line in clean_lines(output) if not _ADVICE.match(line)]
    for known in _KNOWN_ERRORS:
        if known.pattern.search(output):
            cause = known.cause.format(port=_port(output))
            return known.error(action, cause, tail=lines, hint=known.hint)
    about_registry = issubclass(fallback, _REGISTRY_FALLBACKS) or names_registry(output)
    if about_registry and (error := registry_error(action, output)):
        return error
    cause = lines[-1] if lines else "the engine gave no reason"
    return fallback(action, cause, tail=lines[:-1], hint=hint)


def _port(output: str) -> str:
    match = _PORT.search(output)
    return f"port {match[1]}" if match else "a port"


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
    """Return the error for a docker program that is not installed."""
    return EngineUnavailable(action, "there is no docker client on PATH", hint=HINT_ENGINE)
