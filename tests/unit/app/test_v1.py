"""/v1: reviews are asked for, read and listed, by whoever has the token."""

from __future__ import annotations

import re

import pytest

from app.guard import MAX_BODY_BYTES, TokenBucket
from app.reviews import Failure, Result, Status
from app.store import Store, connect
from tests.support.api_client import TOKEN, Api
from worker.queue import Queue

UPGRADE = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}
RESULT = Result(verdict="block", risk=0.9, threshold=0.75, from_version="1.2.0", to_version="1.3.0")
AWAY = Store(connect("redis://:hush@127.0.0.1:1/0"))


@pytest.fixture(scope="module")
def shared(redis_url) -> Api:
    """One for all: it is as quick as they are, and what it knows is in the store."""
    return Api(Store(connect(redis_url)), api_rate_limit=10_000)


@pytest.fixture
def api(shared, client) -> Api:
    """With nothing in its store."""
    return shared


@pytest.fixture
def worker(client) -> Queue:
    return Queue(client, "worker")


def _is_problem(answer, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["title"]
    return str(answer.json()["detail"])


# --- from the question to the answer


def test_a_review_is_accepted_and_found_where_it_is_said_to_be(api):
    answer = api.post("/v1/reviews", json=UPGRADE)
    assert answer.status_code == 202
    body = answer.json()
    assert {name: body[name] for name in UPGRADE} == UPGRADE
    assert body["status"] == "queued"
    assert answer.headers["location"] == f"/v1/reviews/{body['id']}"
    assert api.get(answer.headers["location"]).json() == body


def test_the_same_upgrade_is_the_same_review_unless_it_is_forced(api):
    first = api.post("/v1/reviews", json=UPGRADE).json()
    assert api.post("/v1/reviews", json=UPGRADE).json() == first
    assert api.post("/v1/reviews?force=true", json=UPGRADE).json()["id"] != first["id"]


def test_a_finished_review_says_everything_and_has_its_diff(api, worker):
    place = api.post("/v1/reviews", json=UPGRADE).headers["location"]
    assert "no diff" in _is_problem(api.get(f"{place}/diff"), 409)
    worker.finish(worker.claim(), RESULT, "--- a\n+++ b\n")
    body = api.get(place).json()
    assert (body["status"], body["attempts"]) == ("done", 1)
    assert body["result"] == RESULT.model_dump(mode="json")
    diff = api.get(f"{place}/diff")
    assert (diff.status_code, diff.text) == (200, "--- a\n+++ b\n")
    assert diff.headers["content-type"] == "text/plain; charset=utf-8"
    assert diff.headers["x-content-type-options"] == "nosniff"
    assert api.post("/v1/reviews", json=UPGRADE).status_code == 200  # nothing is left to wait for


def test_a_failed_review_says_why(api, worker):
    place = api.post("/v1/reviews", json=UPGRADE).headers["location"]
    worker.fail(
        worker.claim(), Failure(code="not_found", message="there is no left-pad"), dead=True
    )
    body = api.get(place).json()
    assert (body["status"], body["dead_letter"]) == ("failed", True)
    assert body["failure"] == {"code": "not_found", "message": "there is no left-pad"}
    assert "failed" in _is_problem(api.get(f"{place}/diff"), 409)


def test_reviews_are_listed_page_by_page(api):
    made = {
        api.post("/v1/reviews", json={**UPGRADE, "to": f"1.3.{n}"}).json()["id"] for n in range(5)
    }
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/v1/reviews?limit=2{cursor and '&cursor=' + cursor}").json()
        seen += [review["id"] for review in page["reviews"]]
        cursor = page["next"]
    assert (len(seen), set(seen)) == (5, made)


def test_the_id_of_a_request_goes_with_the_job_and_into_the_answer(api, worker):
    answer = api.post("/v1/reviews", json=UPGRADE, headers={"X-Request-ID": "deploy-17"})
    assert answer.headers["x-request-id"] == "deploy-17"
    assert worker.claim().request_id == "deploy-17"


@pytest.mark.parametrize("given", ["", "two words", "a" * 65, "evil\x00", '"quoted"'])
def test_an_id_that_would_spoil_a_log_is_replaced(api, given):
    answer = api.get("/health", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


# --- what is refused


@pytest.mark.parametrize(
    "sent",
    [None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
     "Bearer t\u00f6ken"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/reviews", "/v1/reviews/0123456789abcdef", "/v1", "/v1/x"])
def test_without_the_token_nothing_is_told(api, sent, path):
    sent = sent.encode() if sent else None
    answer = api.get(path, headers={"Authorization": sent})
    _is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_comes_before_anything_that_is_sent(api):
    answer = api.post("/v1/reviews", content=b"{", headers={"Authorization": "Bearer no"})
    _is_problem(answer, 401)


def test_with_no_token_set_v1_is_closed_and_says_why(client):
    closed = Api(Store(client), token=None)
    for headers in ({}, {"Authorization": None}, {"Authorization": "Bearer "}):
        detail = _is_problem(closed.get("/v1/reviews", headers=headers), 503)
        assert "API_TOKEN is not set" in detail
    assert closed.get("/health").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"package": "../etc/passwd"}, {"package": "--flag"}, {"package": "Left Pad"},
        {"package": "@scope"}, {"package": "node_modules"}, {"package": "a" * 215},
        {"package": ".hidden"}, {"package": "x\n"}, {"package": 7}, {"package": ""},
        {"from": "file:../x"}, {"to": "git+ssh://x.test/y"}, {"to": "npm:other@1"}, {"to": ""},
        {"to": "-x"}, {"to": "1.0.0\n"}, {"to": "v" * 257}, {"to": None}, {"extra": 1},
    ],
)  # fmt: skip
def test_what_npm_would_not_take_is_refused_by_name(api, client, wrong):
    answer = api.post("/v1/reviews", json={**UPGRADE, **wrong})
    _is_problem(answer, 422)
    (name,) = wrong
    assert answer.json()["errors"][0]["where"] == f"body.{name}"
    assert client.dbsize() == 0


@pytest.mark.parametrize(
    "right",
    [
        {"package": "@types/node"}, {"package": "JSONStream"}, {"package": "lodash.merge"},
        {"package": "a~b"}, {"from": "^1.2.0"}, {"from": ">=1.0.0 <2.0.0"}, {"to": "latest"},
        {"to": "1.x || 2.x"}, {"to": "2.0.0-rc.1+build.5"}, {"to": "v2.0.0"}, {"to": "*"},
    ],
)  # fmt: skip
def test_what_npm_takes_is_accepted(api, right):
    assert api.post("/v1/reviews", json={**UPGRADE, **right}).status_code == 202


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"package": "x"}'])
def test_a_body_that_is_none_is_a_problem(api, content):
    _is_problem(api.post("/v1/reviews", content=content), 422)


def test_a_body_is_bounded_however_it_is_announced(api):
    long = b'{"package": "' + b"x" * MAX_BODY_BYTES
    _is_problem(api.post("/v1/reviews", content=long), 413)

    async def dripped():
        for _ in range(MAX_BODY_BYTES):
            yield b"  "

    _is_problem(api.post("/v1/reviews", content=dripped()), 413)


def test_what_was_sent_is_not_shown_again(api):
    """It may be a secret that was put into the wrong place."""
    answer = api.post("/v1/reviews", json={**UPGRADE, "to": "s3cret value!"})
    assert "s3cret" not in answer.text


def test_too_many_are_told_when_to_come_again(client):
    api = Api(Store(client), api_rate_limit=0.5)
    assert api.post("/v1/reviews", json=UPGRADE).status_code == 202
    answer = api.post("/v1/reviews", json=UPGRADE)
    _is_problem(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert api.get("/v1/reviews").status_code == 200  # to read costs little


def test_a_rate_is_kept_in_the_long_run_and_allows_a_burst():
    now = [100.0]
    rate = TokenBucket(2, clock=lambda: now[0])
    assert [rate.take() for _ in range(4)] == [0] * 4
    assert rate.take() == pytest.approx(0.5)
    now[0] += 0.5
    assert rate.take() == 0
    assert rate.take() > 0
    now[0] += 1000
    assert [rate.take() == 0 for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/reviews/0123456789abcdef", 404), ("/v1/reviews/0123456789abcdef/diff", 404),
        ("/v1/reviews/nonsense", 422), ("/v1/reviews?limit=0", 422), ("/v1/reviews?limit=101", 422),
        ("/v1/reviews?cursor=x", 422),
        ("/v1/nothing", 404), ("/nothing", 404),
    ],
)  # fmt: skip
def test_what_is_not_there_or_no_question_is_a_problem(api, path, status):
    _is_problem(api.get(path), status)


def test_a_method_that_is_none_is_a_problem(api):
    _is_problem(api.ask("DELETE", "/v1/reviews"), 405)


def test_a_store_that_is_away_is_a_problem_that_leaks_nothing():
    away = Api(AWAY)
    for answer in (
        away.post("/v1/reviews", json=UPGRADE),
        away.get("/v1/reviews"),
        away.get("/v1/reviews/0123456789abcdef"),
    ):
        assert _is_problem(answer, 503) == "the store does not answer"
        assert int(answer.headers["retry-after"]) > 0
        assert "hush" not in answer.text


def test_a_defect_is_a_problem_that_tells_nothing_of_it(api, monkeypatch):
    monkeypatch.setattr(Store, "get", lambda *_: 1 / 0)
    answer = api.get("/v1/reviews/0123456789abcdef", headers={"X-Request-ID": "broken-17"})
    assert "division" not in _is_problem(answer, 500)
    assert answer.headers["x-request-id"] == "broken-17"  # by which the log tells


# --- what is documented


def test_openapi_tells_every_answer_that_there_is(api):
    schema = api.get("/openapi.json").json()
    answers = {
        (path, method): set(operation["responses"])
        for path, methods in schema["paths"].items()
        if path.startswith("/v1")
        for method, operation in methods.items()
    }
    assert answers == {
        ("/v1/reviews", "post"): {"200", "202", "401", "413", "422", "429", "503"},
        ("/v1/reviews", "get"): {"200", "401", "422", "503"},
        ("/v1/reviews/{id}", "get"): {"200", "401", "404", "422", "503"},
        ("/v1/reviews/{id}/diff", "get"): {"200", "401", "404", "409", "422", "503"},
    }
    for path, method in answers:
        for status, answer in schema["paths"][path][method]["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_a_finished_status_is_one_that_needs_no_waiting():
    assert {str(status) for status in Status} == {"queued", "running", "done", "failed"}
