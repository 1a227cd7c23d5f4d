"""Tests of app.health: responses of /health and /ready, without the store's address."""

from __future__ import annotations

import pytest

from app.store import Store, connect
from tests.support.api_client import Api

UNREACHABLE_STORE = Store(connect("redis://:hush@127.0.0.1:1/0"))


@pytest.fixture
def api(client) -> Api:
    return Api(Store(client))


@pytest.fixture
def api_without_store() -> Api:
    return Api(UNREACHABLE_STORE)


def test_health_does_not_depend_on_the_store(api, api_without_store):
    """Restarting the API would not fix the store."""
    for tested_api in (api, api_without_store):
        response = tested_api.get("/health")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_names_its_dependencies(api):
    response = api.get("/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "dependencies": {"store": "ok"}}


def test_not_ready_shows_the_error_class_only(api_without_store):
    response = api_without_store.get("/ready")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["dependencies"] == {"store": "down"}
    assert response.json()["detail"] == "the store does not answer (StoreError)"
    assert "hush" not in response.text


def test_stopping_api_is_alive_but_not_ready(api):
    api.app.state.draining = True
    response = api.get("/ready")
    assert (response.status_code, response.json()["detail"]) == (503, "the API is stopping")
    assert response.json()["dependencies"] == {"store": "ok"}
    assert api.get("/health").status_code == 200
