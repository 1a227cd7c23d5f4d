"""Registry credentials, as `docker login` stored them: config.json or a credential helper."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imageproof.documents import parse_json
from imageproof.errors import ConfigurationError

HELPER_TIMEOUT_SECONDS = 30
# User name that a helper returns if its secret is an identity token.
IDENTITY_TOKEN_USER = "<token>"  # noqa: S105
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
    def basic_header(self) -> str:
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
        document = parse_json(path.read_bytes())
        auths, helpers = document.get("auths") or {}, document.get("credHelpers") or {}
        if helper := _value_for_host(helpers, host) or document.get("credsStore"):
            return _from_helper(str(helper), host, action)
        entry = _value_for_host(auths, host)
        return _from_entry(entry) if entry else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(action, str(error.strerror), hint=HINT) from error
    except (ValueError, AttributeError, TypeError):
        # The error omits its cause, whose message may quote a password.
        raise ConfigurationError(
            action, "the file or the helper's answer is not in Docker's format", hint=HINT
        ) from None


def _value_for_host(table: Any, host: str) -> Any:
    """Return the value of a table whose keys are hosts; older clients wrote URLs."""
    for key, value in table.items():
        if key.rpartition("://")[2].partition("/")[0] == host:
            return value
    return None


def _from_entry(entry: Any) -> Credentials | None:
    """Convert an entry of `auths`: USER:PASSWORD in base64, or an identity token."""
    identity_token = str(entry.get("identitytoken") or "")
    user, _, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
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
        raise ConfigurationError(
            action,
            cause,
            hint=f"`echo {host} | {program} get` must answer by itself: unlock the key store",
        ) from None
    if result.returncode != 0:
        if _NOT_FOUND in result.stdout + result.stderr:
            return None
        cause = f"{program} exited with status {result.returncode}"
        raise ConfigurationError(action, cause, hint=f"`echo {host} | {program} get` shows why")
    answer = parse_json(result.stdout)
    user, secret = str(answer["Username"]), str(answer["Secret"])
    if user == IDENTITY_TOKEN_USER:
        return Credentials("", "", identity_token=secret)
    return Credentials(user, secret)
