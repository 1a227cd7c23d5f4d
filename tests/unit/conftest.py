"""What the tests of the API and of the worker share: a real Redis, empty for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import redis


# How long an example takes is the machine's affair: other tests run beside it.
settings.register_profile("any clock", deadline=None)
settings.load_profile("any clock")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A server that ends with the run."""
    from tests.support.redis_server import server  # here, since the process that hands out tests needs none

    with server() as url:
        yield url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of it; nothing is there."""
    from app.store import connect

    client = connect(redis_url)
    client.flushall()
    yield client
    client.close()
