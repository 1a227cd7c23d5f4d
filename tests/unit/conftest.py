"""Fixtures of the unit tests: a real Redis, emptied for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import redis


# Without a deadline for an example: its time depends on the load of the machine.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def own_caches() -> Iterator[None]:
    """Keep the tests out of the caches of the user who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tempfile.mkdtemp(prefix="imageproof-caches-")
        patch.setenv("XDG_CACHE_HOME", folder)
        yield
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Start a server for the session."""
    # Imported here, because most tests and xdist's controller need no Redis client.
    from tests.support import redis_server

    with redis_server.running() as url:
        yield url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Return a client of the empty server."""
    from app.store import connect

    client = connect(redis_url)
    client.flushall()
    yield client
    client.close()
