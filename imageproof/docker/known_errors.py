"""Texts of the docker program, the engine, BuildKit and Compose, and what cures each.

The docker program has no error codes, so errors are recognised by their text.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from imageproof.errors import (
    ConfigurationError,
    EngineUnavailable,
    ImageproofError,
    NameTaken,
    NoSpace,
    PortTaken,
    StackFailed,
    UsageError,
)
from imageproof.redaction import redact

HINT_ENGINE = "`./inv doctor` shows what is wrong; as root, `./inv provision` fixes it"


class KnownError(NamedTuple):
    """An error that is recognised by its text."""

    pattern: re.Pattern[str]
    error: type[ImageproofError]
    cause: str  # "{port}" and "{name}" become those in the output
    hint: str


def _known(pattern: str, error: type[ImageproofError], cause: str, hint: str) -> KnownError:
    return KnownError(re.compile(pattern, re.IGNORECASE), error, cause, hint)


# The first match counts: the text about a full disk or a missing leader can also say that a call
# was unavailable.
KNOWN_ERRORS = (
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
    _known(
        r"container name \"/?[^\"\s]{1,255}\" is already in use",
        NameTaken,
        "another container has the name {name}",
        "`docker rename {name} {name}-old` frees the name; if the container is not needed, "
        "`docker rm -f {name}` removes it",
    ),
    _known(  # during an election, and when half of the managers are lost
        r"swarm does not have a leader|code = DeadlineExceeded",
        EngineUnavailable,
        "the swarm has no leader",
        "managers elect a leader within seconds if more than half of them are running",
    ),
    _known(
        r"permission denied while trying to connect"
        r"|dial unix \S{1,255}: connect: permission denied",
        EngineUnavailable,
        "this user may not use the Docker engine's socket",
        "run the command as root; or `sudo usermod -aG docker $USER`, then log in again",
    ),
    _known(
        r"unable to (?:resolve|parse) docker (?:endpoint|host)|invalid bind address format"
        r"|context not found|docker\.go:\d{1,5} ",  # `fd://` ends the client with a panic
        ConfigurationError,
        "the address or the context of the Docker engine is invalid",
        "`docker context ls` lists the contexts; `unset DOCKER_HOST DOCKER_CONTEXT` selects this "
        "machine's engine",
    ),
    _known(
        r"command \[ssh .{1,500}has exited",
        EngineUnavailable,
        "the engine's host cannot be reached by ssh",
        "`ssh HOST docker version` must work without a question",
    ),
    _known(
        r"malformed HTTP|invalid character '.{1,8}' looking for|json: cannot unmarshal"
        r"|response from daemon: {0,9}<|unsolicited response",
        EngineUnavailable,
        "the server on the engine's address is no Docker engine",
        HINT_ENGINE,
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
        r"no builder \".{1,255}\" found",
        UsageError,
        "there is no such builder",
        "`docker buildx ls` lists the builders",
    ),
    _known(
        r"is not supported for the docker driver|does not currently support exporting manifest",
        UsageError,
        "the engine's own builder cannot do that",
        "`docker buildx create --name multi --driver docker-container` makes a builder that can; "
        "then add `--builder multi`",
    ),
    _known(
        r"unknown operating system or architecture|operating system is not supported"
        r"|no match for platform",
        UsageError,
        "the images cannot be built for this platform",
        "the base image must exist for it; `docker buildx ls` lists the platforms of each builder",
    ),
    _known(
        r"cache (?:im|ex)porter requires|type required form>|ERROR: invalid value",
        UsageError,
        "an option for the build cache is invalid",
        "for example --cache-from type=registry,ref=HOST/cache:{{image}}",
    ),
    _known(
        r"failed to read .{0,500}\.env|unexpected character .{0,50} in variable name"
        r"|\.env.{0,50}line \d+|yaml: |validating .{0,500}compose|invalid interpolation format"
        r"|(?:undefined|unknown) (?:service|network|volume|config|secret)"
        r"|additional properties|services\.[\w.-]{1,500} must be"
        r"|invalid (?:proto|hostport|containerport)|invalid ip address"
        r"|services\..{0,500} contains an invalid|can't evaluate|error decoding '"
        r"|env file .{1,500} not found|empty compose file|no configuration file",
        ConfigurationError,
        "the compose file or .env is wrong",
        "run `docker compose config` to check it; .env has one NAME=value on each line",
    ),
    _known(
        r"cannot assign requested address|unable to find user|bad nameserver"
        r"|gathering device information|sysctl \".{1,255}\" is not|error mounting \"tmpfs\""
        r"|setting rlimits|response from daemon: invalid",
        ConfigurationError,
        "the engine refuses a value of the compose file",
        "the last line above names it: correct the compose file, or .env",
    ),
    _known(
        r"unable to start container process: exec|executable file not found",
        StackFailed,
        "the program of a container cannot be started",
        "correct `command` or `entrypoint` in the compose file, or build the image again: "
        "`./inv build`",
    ),
)
REFUSED_VALUE = KNOWN_ERRORS[-2]
# A port after an IPv4 address, or after an IPv6 address in brackets.
_PORT = re.compile(r"(?:\b\d{1,3}(?:\.\d{1,3}){3}|\]):(\d{1,5})\b")
_NAME = re.compile(r"container name \"/?([^\"\s]{1,255})\"", re.IGNORECASE)
_CONTAINER_STATUS = re.compile(r"^ {0,9}Container \S{1,255} {1,9}(\w{1,20})", re.MULTILINE)


def recognise(output: str) -> KnownError | None:
    """Return the known error that a text describes, with its port and name filled in."""
    known = next((known for known in KNOWN_ERRORS if known.pattern.search(output)), None)
    if known is None and _failed_to_create(output):
        known = REFUSED_VALUE
    if known is None:
        return None
    port, name = _PORT.search(output), _NAME.search(output)
    words = {"port": f"port {port[1]}" if port else "a port", "name": name[1] if name else "NAME"}
    advice = engine_hint() if known.hint == HINT_ENGINE else known.hint.format(**words)
    return known._replace(cause=known.cause.format(**words), hint=advice)


def _failed_to_create(output: str) -> bool:
    """Return whether Compose's progress ends where the engine checks a container's values."""
    statuses = _CONTAINER_STATUS.findall(output)
    return bool(statuses) and statuses[-1] == "Creating" and "o such image" not in output


def engine_hint() -> str:
    """Return what to do if no engine answers: it depends on how the engine was chosen."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if value := os.environ.get(variable):
            return (
                f"{variable} is {redact(value)}: correct it, or `unset {variable}` to use this "
                "machine's engine"
            )
    return HINT_ENGINE
