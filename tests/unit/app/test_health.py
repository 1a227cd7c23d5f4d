"""/health and /ready: what they answer, and what they never tell."""

from __future__ import annotations

import pytest

from app.store import Store, connect
from tests.support.api_client import Api

AWAY = Store(connect("redis://:hush@127.0.0.1:1/0"))


@pytest.fixture
def there(client) -> Api:
    return Api(Store(client))


@pytest.fixture
def away() -> Api:
    return Api(AWAY)


def test_health_is_ok_whatever_the_store_does(there, away):
    """Alive is not ready: to restart the API mends no store."""
    for api in (there, away):
        answer = api.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_names_what_it_depends_on(there):
    answer = there.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "dependencies": {"store": "ok"}}


def test_not_ready_is_a_problem_that_leaks_no_text(away):
    answer = away.get("/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["dependencies"] == {"store": "down"}
    assert answer.json()["detail"] == "the store does not answer (StoreError)"
    assert "hush" not in answer.text


def test_stopping_api_is_alive_but_not_ready(there):
    there.app.state.draining = True
    answer = there.get("/ready")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the API is stopping")
    assert answer.json()["dependencies"] == {"store": "ok"}
    assert there.get("/health").status_code == 200


def test_openapi_has_both_answers_of_ready(there):
    """With the models that they follow, each reference defined."""
    schema = there.get("/openapi.json").json()
    responses = schema["paths"]["/ready"]["get"]["responses"]
    problem = responses["503"]["content"]["application/problem+json"]["schema"]
    assert problem["properties"]["dependencies"]["$ref"] == "#/components/schemas/Dependencies"
    assert {"Dependencies", "Ready", "Health"} <= set(schema["components"]["schemas"])
