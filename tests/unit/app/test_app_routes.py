"""/health and /ready: what they answer, and what they never tell."""

import asyncio

import httpx
import pytest

from app.config import ApiSettings
from app.jobs import EmptyQueue, Job, QueueError, Status
from app.main import create_app


class _Down(EmptyQueue):
    def ping(self) -> None:
        raise QueueError("cannot reach cache.test with password hush")


def _get(path: str, queue: EmptyQueue) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(ApiSettings.model_construct(), queue))
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
            return await client.get(path)

    return asyncio.run(get())


@pytest.mark.parametrize("queue", [EmptyQueue(), _Down()])
def test_health_is_ok_whatever_the_queue_does(queue: EmptyQueue) -> None:
    """Alive is not ready: to restart the API mends no queue."""
    answer = _get("/health", queue)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_names_what_it_depends_on() -> None:
    """And that it answers."""
    answer = _get("/ready", EmptyQueue())
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "dependencies": {"queue": "ok"}}


def test_not_ready_is_a_problem_that_leaks_no_text() -> None:
    """The class of the error is told, its text is not."""
    answer = _get("/ready", _Down())
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["dependencies"] == {"queue": "down"}
    assert answer.json()["detail"] == "the queue does not answer (QueueError)"
    assert "hush" not in answer.text


def test_openapi_has_both_answers_of_ready() -> None:
    """With the models that they follow, each reference defined."""
    schema = _get("/openapi.json", EmptyQueue()).json()
    responses = schema["paths"]["/ready"]["get"]["responses"]
    problem = responses["503"]["content"]["application/problem+json"]["schema"]
    assert problem["properties"]["dependencies"]["$ref"] == "#/components/schemas/Dependencies"
    assert {"Dependencies", "Ready", "Health"} <= set(schema["components"]["schemas"])


def test_the_empty_queue_says_so_when_asked_to_keep_something() -> None:
    """It holds nothing, and does not pretend to."""
    queue = EmptyQueue()
    assert queue.take() is None
    with pytest.raises(QueueError):
        queue.finish(Job("1", "left-pad", "1.2.0", "1.3.0"), Status.DONE)
