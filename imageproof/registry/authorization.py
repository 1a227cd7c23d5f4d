"""Authorization at a registry: a password (Basic) or a token (Bearer).

Protocol: https://distribution.github.io/distribution/spec/auth/
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from imageproof.documents import parse_json
from imageproof.errors import RegistryUnavailable
from imageproof.registry import transport
from imageproof.registry.credentials import Credentials, find_credentials

if TYPE_CHECKING:
    import httpx

MAX_TOKEN_BYTES = 1 << 16
MAX_CHALLENGE_CHARACTERS = 1 << 13
CLIENT_ID = "imageproof"
_TOKEN = re.compile(r"[!-~]+")  # characters that a header may hold
_PARAMETER = re.compile(r'\b(\w+)="([^"]*)"')


class Authorization:
    """Authorization headers for one registry, by scopes. They are sent to that registry only."""

    def __init__(self, host: str, client: httpx.Client) -> None:
        self._host = host
        self._client = client
        self._headers: dict[tuple[str, ...], str] = {}
        self._credentials: Credentials | None = None

    def headers(self, url: httpx.URL, scopes: Sequence[str]) -> dict[str, str]:
        """Return the headers for a request; none for a URL outside the registry."""
        value = self._headers.get(tuple(scopes))
        return {"Authorization": value} if value and self._is_registry(url) else {}

    def _is_registry(self, url: httpx.URL) -> bool:
        same_host = url.netloc.decode() == self._host
        return same_host and url.scheme == transport.scheme(self._host)

    def authorize(self, response: httpx.Response, scopes: Sequence[str], action: str) -> bool:
        """Answer the challenge of a 401 response, and return whether to send the request again.

        Raises:
            RegistryUnavailable: The token service issues no valid token.
            ConfigurationError: The stored credentials cannot be read.
        """
        if not self._is_registry(response.url):
            return False
        kind, _, parameters = response.headers.get("WWW-Authenticate", "")[
            :MAX_CHALLENGE_CHARACTERS
        ].partition(" ")
        self._credentials = self._credentials or find_credentials(self._host)
        if kind.lower() == "basic" and self._credentials:
            self._headers[tuple(scopes)] = self._credentials.basic_header
            return True
        if kind.lower() == "bearer":
            token = self._fetch_token(dict(_PARAMETER.findall(parameters)), scopes, action)
            self._headers[tuple(scopes)] = f"Bearer {token}"
            return True
        return False

    def _fetch_token(self, challenge: Mapping[str, str], scopes: Sequence[str], action: str) -> str:
        """Request a token for these scopes from the service that the challenge names."""
        import httpx

        realm = httpx.URL(challenge.get("realm", ""))
        if not transport.is_confidential(realm):
            raise RegistryUnavailable(
                action,
                f"{self._host} requests the password over an unencrypted connection",
                hint="give the registry's token server a certificate, and an https:// address",
            )
        request = self._token_request(realm, challenge.get("service", ""), scopes)
        response = self._client.send(request, stream=True)
        with contextlib.closing(response):
            if not response.is_success:
                raise transport.response_error(self._host, action, response)
            body = b"".join(transport.bounded_body(response, MAX_TOKEN_BYTES, action))
        try:
            document = parse_json(body)
            token = document.get("token") or document["access_token"]
        except (ValueError, LookupError, TypeError, AttributeError):
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            # The error does not quote the response, which may hold a token after all.
            raise RegistryUnavailable(
                action,
                f"{self._host} issued an invalid token",
                hint="try again; if it stays, the log of the registry's token server says why",
            )
        return token

    def _token_request(
        self, realm: httpx.URL, service: str, scopes: Sequence[str]
    ) -> httpx.Request:
        """Return the request by identity token (OAuth 2), by password, or without credentials."""
        credentials = self._credentials
        parameters = {"service": service} if service else {}
        if credentials and credentials.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token}
            form |= {"client_id": CLIENT_ID, "scope": " ".join(scopes), **parameters}
            return self._client.build_request("POST", realm, data=form)
        url = realm.copy_merge_params({**parameters, "scope": list(scopes)})
        headers = {"Authorization": credentials.basic_header} if credentials else {}
        return self._client.build_request("GET", url, headers=headers)
