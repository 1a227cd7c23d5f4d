"""Tests that every response of the API matches its OpenAPI schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from app.store import Store, connect
from tests.support.api_client import TOKEN, Api

if TYPE_CHECKING:
    import schemathesis

OPERATIONS = [
    ("/v1/reviews", "POST"),
    ("/v1/reviews", "GET"),
    ("/v1/reviews/{id}", "GET"),
    ("/v1/reviews/{id}/diff", "GET"),
    ("/health", "GET"),
    ("/ready", "GET"),
]
EXAMPLES = 50


@pytest.fixture
def api(client) -> Api:
    return Api(Store(client), api_rate_limit=10_000)


@pytest.fixture
def schema(api):
    # Imported here, because it takes a second of every process that collects tests.
    import schemathesis

    return schemathesis.openapi.from_asgi("/openapi.json", api.app)


def test_every_operation_is_tested(schema):
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {(operation.path, operation.method.upper()) for operation in operations} == set(
        OPERATIONS
    )


# Without schemathesis' plug-in, which does not work with pytest 9.
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_responses_match_the_schema(schema, path, method):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy())
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})

    send()


def test_every_error_of_v1_is_documented_as_problem_details(api):
    schema = api.get("/openapi.json").json()
    errors = [
        response
        for path, operations in schema["paths"].items()
        if path.startswith("/v1")
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if int(status) >= 400
    ]
    assert errors
    assert all(list(error["content"]) == ["application/problem+json"] for error in errors)
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_not_ready_response_matches_the_schema(schema):
    from schemathesis.checks import not_a_server_error

    api = Api(Store(connect("redis://127.0.0.1:1/0")))
    case = schema["/ready"]["GET"].Case()
    case.validate_response(case.call(app=api.app), excluded_checks=[not_a_server_error])
