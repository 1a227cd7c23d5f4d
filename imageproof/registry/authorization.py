"""What a registry wants to see before it answers: a password (Basic) or a token (Bearer).

https://distribution.github.io/distribution/spec/auth/: the registry says where tokens are given.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from imageproof.errors import RegistryUnavailable
from imageproof.registry import transport
from imageproof.registry.credentials import Credentials, find

if TYPE_CHECKING:
    import httpx

TOKEN_BYTES = 1 << 16
CLIENT = "imageproof"
_TOKEN = re.compile(r"[!-~]+")  # what a header may hold
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Authorization:
    """The headers of one registry, by what they allow; none goes to any other place."""

    def __init__(self, host: str, client: httpx.Client) -> None:
        self._host = host
        self._client = client
        self._headers: dict[tuple[str, ...], str] = {}
        self._credentials: Credentials | None = None

    def of(self, url: httpx.URL, scopes: Sequence[str]) -> dict[str, str]:
        """What to send with a request."""
        known = self._headers.get(tuple(scopes))
        return {"Authorization": known} if known and self._is_own(url) else {}

    def _is_own(self, url: httpx.URL) -> bool:
        own = url.netloc.decode() == self._host
        return own and url.scheme == transport.scheme(self._host)

    def gain(self, answer: httpx.Response, scopes: Sequence[str], action: str) -> bool:
        """Do as a 401 says, once; False where nothing can be done.

        Raises RegistryUnavailable where no token is given, ConfigurationError for credentials
        that cannot be read.
        """
        if not self._is_own(answer.url):
            return False
        kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        self._credentials = self._credentials or find(self._host)
        if kind.lower() == "basic" and self._credentials:
            self._headers[tuple(scopes)] = self._credentials.basic
            return True
        if kind.lower() == "bearer":
            token = self._token(dict(_PARAMETER.findall(rest)), scopes, action)
            self._headers[tuple(scopes)] = f"Bearer {token}"
            return True
        return False

    def _token(self, challenge: Mapping[str, str], scopes: Sequence[str], action: str) -> str:
        """A token for these scopes, from where the registry says that they are given."""
        import httpx

        realm = httpx.URL(challenge.get("realm", ""))
        if not transport.is_private(realm):
            said = "it wants the password where it can be overheard"
            raise RegistryUnavailable(action, f"{self._host} cannot be followed: {said}")
        request = self._question(realm, challenge.get("service", ""), scopes)
        answer = self._client.send(request, stream=True)
        with contextlib.closing(answer):
            if not answer.is_success:
                raise transport.answered(self._host, action, answer)
            body = b"".join(transport.bounded(answer, TOKEN_BYTES, action))
        try:
            document = json.loads(body)
            token = document.get("token") or document["access_token"]
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            # Nothing of it is shown, nor kept as a cause: it may be a token after all.
            said = "what it gives for a token is none"
            raise RegistryUnavailable(action, f"{self._host} cannot be followed: {said}") from None
        return token

    def _question(self, realm: httpx.URL, service: str, scopes: Sequence[str]) -> httpx.Request:
        who = self._credentials
        about = {"service": service} if service else {}
        if who and who.identity:
            form = {"grant_type": "refresh_token", "refresh_token": who.identity}
            form |= {"client_id": CLIENT, "scope": " ".join(scopes), **about}
            return self._client.build_request("POST", realm, data=form)
        url = realm.copy_merge_params({**about, "scope": list(scopes)})
        headers = {"Authorization": who.basic} if who else {}
        return self._client.build_request("GET", url, headers=headers)
