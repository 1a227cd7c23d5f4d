"""Registry credentials, as `docker login` stored them: config.json or a credential helper."""

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

HELPER_TIMEOUT_SECONDS = 30
IDENTITY_TOKEN_USER = "<token>"  # noqa: S105  # a helper's user name if its secret is an identity token
HINT = "`docker login` rewrites the file"
_HELPER = re.compile(r"[\w.-]+")
_NOT_FOUND = "credentials not found"  # docker-credential-helpers, credentials/error.go


@dataclass(frozen=True)
class Credentials:
    """A user and a password, or an identity token (OAuth 2 refresh token) instead of a password."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header (RFC 7617)."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def find_credentials(host: str) -> Credentials | None:
    """Return the credentials that Docker's client would use for a registry, or None.

    Raises:
        ConfigurationError: config.json is invalid, or the credential helper failed.
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
            return _from_helper(str(helper), host, action)
        return _from_entry(entry) if entry else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(action, str(error.strerror), hint=HINT) from error
    except (ValueError, AttributeError, TypeError, RecursionError):
        # Without the cause: its message may quote a password.
        raise ConfigurationError(
            action, "the file or the helper's answer is not in Docker's format", hint=HINT
        ) from None


def _host(name: str) -> str:
    """Return the host of an entry's key. Older clients wrote a URL."""
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _from_entry(entry: Any) -> Credentials | None:
    identity_token = str(entry.get("identitytoken") or "")
    try:
        user, _, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
    except binascii.Error as error:
        raise ValueError from error
    password = password.rstrip("\0")  # as Docker's client does
    return Credentials(user, password, identity_token) if user or identity_token else None


def _from_helper(helper: str, host: str, action: str) -> Credentials | None:
    """Run `docker-credential-HELPER get`: the host on standard input, JSON on standard output."""
    program = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        raise ConfigurationError(action, "the name of a credential helper is invalid", hint=HINT)
    try:
        result = subprocess.run(
            [program, "get"],
            input=host,
            capture_output=True,
            text=True,
            check=False,
            timeout=HELPER_TIMEOUT_SECONDS,
        )
    except FileNotFoundError:
        hint = "install it, or remove it from config.json"
        raise ConfigurationError(action, f"{program} is not on PATH", hint=hint) from None
    except subprocess.TimeoutExpired:
        cause = f"{program} did not answer within {HELPER_TIMEOUT_SECONDS} s"
        raise ConfigurationError(action, cause) from None
    if result.returncode != 0:
        if _NOT_FOUND in result.stdout + result.stderr:
            return None
        cause = f"{program} exited with status {result.returncode}"
        raise ConfigurationError(action, cause, hint=f"echo {host} | {program} get")
    answer = json.loads(result.stdout)
    user, secret = str(answer["Username"]), str(answer["Secret"])
    return Credentials("", "", secret) if user == IDENTITY_TOKEN_USER else Credentials(user, secret)
