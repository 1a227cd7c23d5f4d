"""Who to be at a registry: as `docker login` left it, in config.json or a credential helper."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imageproof.errors import ConfigurationError

HELPER_SECONDS = 30
TOKEN = "<token>"  # noqa: S105  # the user name by which a helper says that it has an identity token
_HELPER = re.compile(r"[\w.-]+")
_NONE = "credentials not found"  # docker-credential-helpers, credentials/error.go
HINT = "`docker login` writes it anew"


@dataclass(frozen=True)
class Credentials:
    """A user and a password, or an identity token (OAuth 2 refresh token) in their place."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    identity: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def find(host: str) -> Credentials | None:
    """What docker's client would use for that registry; None: nobody in particular.

    Raises ConfigurationError for a config.json that is none, or a helper that fails.
    """
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    path = Path(folder, "config.json")
    action = f"looking for credentials of {host} in {path}"
    try:
        document = json.loads(path.read_bytes())
        auths, helpers = document.get("auths") or {}, document.get("credHelpers") or {}
        entry = next((e for name, e in auths.items() if _host(name) == host), None)
        helper = next((h for name, h in helpers.items() if _host(name) == host), None)
        if helper := helper or document.get("credsStore"):
            return _ask(str(helper), host, action)
        return _decoded(entry) if entry else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(action, str(error.strerror), hint=HINT) from error
    except (ValueError, AttributeError, TypeError, RecursionError):
        # Not even the cause is shown: it may quote what it could not read.
        raise ConfigurationError(action, "the file is not as docker writes it", hint=HINT) from None


def _host(name: str) -> str:
    """The host that an entry is about: older clients wrote an address."""
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _decoded(entry: Any) -> Credentials | None:
    identity = str(entry.get("identitytoken") or "")
    try:
        user, _, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
    except binascii.Error as error:
        raise ValueError from error
    password = password.rstrip("\0")  # as docker's client does
    return Credentials(user, password, identity) if user or identity else None


def _ask(helper: str, host: str, action: str) -> Credentials | None:
    """docker-credential-NAME get: the host on standard input, JSON on standard output."""
    program = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        raise ConfigurationError(action, "a credential helper has a name that is none", hint=HINT)
    try:
        result = subprocess.run(
            [program, "get"],
            input=host,
            capture_output=True,
            text=True,
            check=False,
            timeout=HELPER_SECONDS,
        )
    except FileNotFoundError:
        hint = "install it, or take it out of config.json"
        raise ConfigurationError(action, f"there is no {program} on PATH", hint=hint) from None
    except subprocess.TimeoutExpired:
        said = f"{program} did not answer within {HELPER_SECONDS} s"
        raise ConfigurationError(action, said) from None
    if result.returncode != 0:
        if _NONE in result.stdout + result.stderr:
            return None
        said = f"{program} ended with status {result.returncode}"
        raise ConfigurationError(action, said, hint=f"echo {host} | {program} get")
    found = json.loads(result.stdout)
    user, secret = str(found["Username"]), str(found["Secret"])
    return Credentials("", "", secret) if user == TOKEN else Credentials(user, secret)
