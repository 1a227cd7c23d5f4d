"""The API in this process, asked without a socket."""

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
    """Answers of one application; it is asked with the token unless told otherwise."""

    def __init__(self, store: Store, *, token: str | None = TOKEN, **settings: Any) -> None:
        """`token`: what the API was started with."""
        secret = SecretStr(token) if token else None
        self.app = create_app(ApiSettings.model_construct(api_token=secret, **settings), store)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {TOKEN}", **options.pop("headers", {})}
        sent = {name: value for name, value in headers.items() if value is not None}

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as c:
                return await c.request(method, path, headers=sent, **options)

        return asyncio.run(go())

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST."""
        return self.ask("POST", path, **options)
