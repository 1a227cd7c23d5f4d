"""What OpenAPI says of /v1 is what it does, whatever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from app.store import Store
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
def documented(client):
    # Here, since it takes a second: every process that collects tests would wait for it.
    import schemathesis

    api = Api(Store(client), api_rate_limit=10_000)
    return schemathesis.openapi.from_asgi("/openapi.json", api.app)


def test_each_operation_is_asked(documented):
    found = [result.ok() for result in documented.get_all_operations()]
    assert {(one.path, one.method.upper()) for one in found} == set(OPERATIONS)


# Not by schemathesis' own plug-in: it does not work with pytest 9.
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_is_documented(documented, path, method):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=documented[path][method].as_strategy())
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})

    ask()
