"""Client of the API in this process, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from pydantic import SecretStr

from app.config import ApiSettings
from app.main import create_app
from app.store import Store

TOKEN = "a-token-of-the-tests"


class Api:
    """Application and its client, which sends the token unless `headers` replaces it."""

    def __init__(self, store: Store, *, token: str | None = TOKEN, **settings: Any) -> None:
        """Create the application; `token` is its API_TOKEN."""
        secret = SecretStr(token) if token else None
        self.app = create_app(ApiSettings.model_construct(api_token=secret, **settings), store)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request; a header with the value None is omitted."""
        headers = {"Authorization": f"Bearer {TOKEN}", **options.pop("headers", {})}
        options["headers"] = {name: value for name, value in headers.items() if value is not None}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)
