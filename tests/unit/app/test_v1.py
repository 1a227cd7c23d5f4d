"""Tests of app.v1 and app.guard: submit, read and list reviews with the token."""

from __future__ import annotations

import random
import re

import httpx
import pytest

from app.guard import FAILURES_BURST, MAX_BODY_BYTES, MAX_CLIENTS, FailureLimiter, TokenBucket
from app.reviews import Failure, Result, Statistics
from app.store import Store, connect, diff_key, review_key
from tests.support import api_process
from tests.support.api_client import TOKEN, Api
from worker.queue import Queue

UPGRADE = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}
RESULT = Result(verdict="block", risk=0.9, threshold=0.75, from_version="1.2.0", to_version="1.3.0")
UNREACHABLE_STORE = Store(connect("redis://:hush@127.0.0.1:1/0"))


@pytest.fixture(scope="module")
def shared_api(redis_url) -> Api:
    """API of all tests. All its state is in the store, which the fixture `client` empties."""
    return Api(Store(connect(redis_url)), api_rate_limit=10_000)


@pytest.fixture
def api(shared_api, client) -> Api:
    """API with an empty store."""
    return shared_api


@pytest.fixture
def worker(client) -> Queue:
    return Queue(client, "worker")


def _problem_detail(response, status: int) -> str:
    """Assert that the response is a problem with this status; return its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["title"]
    return str(response.json()["detail"])


# --- from submission to outcome


def test_accepted_review_is_at_its_location(api):
    response = api.post("/v1/reviews", json=UPGRADE)
    assert response.status_code == 202
    body = response.json()
    assert {name: body[name] for name in UPGRADE} == UPGRADE
    assert body["status"] == "queued"
    assert response.headers["location"] == f"/v1/reviews/{body['id']}"
    assert api.get(response.headers["location"]).json() == body


def test_same_upgrade_returns_the_same_review_unless_forced(api):
    first = api.post("/v1/reviews", json=UPGRADE).json()
    assert api.post("/v1/reviews", json=UPGRADE).json() == first
    assert api.post("/v1/reviews?force=true", json=UPGRADE).json()["id"] != first["id"]


def test_finished_review_has_result_and_diff(api, worker):
    path = api.post("/v1/reviews", json=UPGRADE).headers["location"]
    assert "no diff" in _problem_detail(api.get(f"{path}/diff"), 409)
    worker.finish(worker.claim(), RESULT, "--- a\n+++ b\n")
    body = api.get(path).json()
    assert (body["status"], body["attempts"]) == ("done", 1)
    assert body["result"] == RESULT.model_dump(mode="json")
    diff = api.get(f"{path}/diff")
    assert (diff.status_code, diff.text) == (200, "--- a\n+++ b\n")
    assert diff.headers["content-type"] == "text/plain; charset=utf-8"
    assert diff.headers["x-content-type-options"] == "nosniff"
    assert api.post("/v1/reviews", json=UPGRADE).status_code == 200  # not 202: it is finished


def test_failed_review_has_failure_and_no_diff(api, worker):
    path = api.post("/v1/reviews", json=UPGRADE).headers["location"]
    worker.fail(
        worker.claim(), Failure(code="not_found", message="there is no left-pad"), dead_letter=True
    )
    body = api.get(path).json()
    assert (body["status"], body["dead_letter"]) == ("failed", True)
    assert body["failure"] == {"code": "not_found", "message": "there is no left-pad"}
    assert "failed" in _problem_detail(api.get(f"{path}/diff"), 409)


def test_pages_contain_each_review_once(api):
    created = {
        api.post("/v1/reviews", json={**UPGRADE, "to": f"1.3.{n}"}).json()["id"] for n in range(5)
    }
    listed, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/v1/reviews?limit=2{cursor and '&cursor=' + cursor}").json()
        listed += [review["id"] for review in page["reviews"]]
        cursor = page["next"]
    assert (len(listed), set(listed)) == (5, created)


def test_request_id_is_returned_and_passed_to_the_worker(api, worker):
    response = api.post("/v1/reviews", json=UPGRADE, headers={"X-Request-ID": "deploy-17"})
    assert response.headers["x-request-id"] == "deploy-17"
    assert worker.claim().request_id == "deploy-17"


@pytest.mark.parametrize("invalid_id", ["", "two words", "a" * 65, "evil\x00", '"quoted"'])
def test_invalid_request_id_is_replaced(api, invalid_id):
    response = api.get("/health", headers={"X-Request-ID": invalid_id})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


# --- rejected requests


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
     "Bearer t\u00f6ken"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/reviews", "/v1/reviews/0123456789abcdef", "/v1", "/v1/x"])
def test_every_path_of_v1_needs_the_token(api, authorization, path):
    header = authorization.encode() if authorization else None
    response = api.get(path, headers={"Authorization": header})
    _problem_detail(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_token_is_checked_before_the_body(api):
    response = api.post("/v1/reviews", content=b"{", headers={"Authorization": "Bearer no"})
    _problem_detail(response, 401)


def test_v1_is_disabled_if_no_token_is_set(client):
    disabled = Api(Store(client), token=None)
    for headers in ({}, {"Authorization": None}, {"Authorization": "Bearer "}):
        detail = _problem_detail(disabled.get("/v1/reviews", headers=headers), 503)
        assert "API_TOKEN is not set" in detail
    assert disabled.get("/health").status_code == 200


@pytest.mark.parametrize(
    "invalid",
    [
        {"package": "../etc/passwd"}, {"package": "--flag"}, {"package": "Left Pad"},
        {"package": "@scope"}, {"package": "node_modules"}, {"package": "a" * 215},
        {"package": ".hidden"}, {"package": "x\n"}, {"package": 7}, {"package": ""},
        {"from": "file:../x"}, {"to": "git+ssh://x.test/y"}, {"to": "npm:other@1"}, {"to": ""},
        {"to": "-x"}, {"to": "1.0.0\n"}, {"to": "v" * 257}, {"to": None}, {"extra": 1},
    ],
)  # fmt: skip
def test_invalid_field_is_rejected_by_name(api, client, invalid):
    response = api.post("/v1/reviews", json={**UPGRADE, **invalid})
    _problem_detail(response, 422)
    (name,) = invalid
    assert response.json()["errors"][0]["where"] == f"body.{name}"
    assert client.dbsize() == 0


@pytest.mark.parametrize(
    "valid",
    [
        {"package": "@types/node"}, {"package": "JSONStream"}, {"package": "lodash.merge"},
        {"package": "a~b"}, {"from": "^1.2.0"}, {"from": ">=1.0.0 <2.0.0"}, {"to": "latest"},
        {"to": "1.x || 2.x"}, {"to": "2.0.0-rc.1+build.5"}, {"to": "v2.0.0"}, {"to": "*"},
    ],
)  # fmt: skip
def test_names_and_versions_of_npm_are_accepted(api, valid):
    assert api.post("/v1/reviews", json={**UPGRADE, **valid}).status_code == 202


@pytest.mark.parametrize(
    ("old", "new"),
    [("1.2.0", "1.2.0"), ("v1.2.0", "1.2.0"), ("1.2.0-rc.1", "1.2.0-rc.1"), ("1.2.0+a", "1.2.0+b")],
)
def test_upgrade_to_the_same_version_is_rejected(api, old, new):
    response = api.post("/v1/reviews", json={**UPGRADE, "from": old, "to": new})
    assert "invalid" in _problem_detail(response, 422)
    assert response.json()["errors"] == [
        {"where": "body.to", "message": "the same version as `from`"}
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [("latest", "latest"), ("1.2.0", "1.2.0-rc.1"), ("1.2", "1.2"), ("1.3.0", "1.2.0")],
)
def test_upgrade_that_may_differ_is_accepted(api, old, new):
    response = api.post("/v1/reviews", json={**UPGRADE, "from": old, "to": new})
    assert response.status_code == 202


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"package": "x"}'])
def test_invalid_body_is_a_problem(api, content):
    _problem_detail(api.post("/v1/reviews", content=content), 422)


def test_large_body_is_rejected_with_and_without_content_length(api):
    large = b'{"package": "' + b"x" * MAX_BODY_BYTES
    _problem_detail(api.post("/v1/reviews", content=large), 413)

    async def chunks():
        for _ in range(MAX_BODY_BYTES):
            yield b"  "

    _problem_detail(api.post("/v1/reviews", content=chunks()), 413)


def test_validation_error_does_not_show_the_value(api):
    """It may be a misplaced secret."""
    response = api.post("/v1/reviews", json={**UPGRADE, "to": "s3cret value!"})
    assert "s3cret" not in response.text


def test_rate_limit_sends_retry_after_and_spares_reads(client):
    api = Api(Store(client), api_rate_limit=0.5)
    assert api.post("/v1/reviews", json=UPGRADE).status_code == 202
    response = api.post("/v1/reviews", json=UPGRADE)
    _problem_detail(response, 429)
    assert 1 <= int(response.headers["retry-after"]) <= 3
    assert api.get("/v1/reviews").status_code == 200


def test_token_bucket_allows_a_burst_then_the_sustained_rate():
    now = [100.0]
    bucket = TokenBucket(2, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [0] * 4
    assert bucket.take() == pytest.approx(0.5)
    now[0] += 0.5
    assert bucket.take() == 0
    assert bucket.take() > 0
    now[0] += 1000
    assert [bucket.take() == 0 for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/reviews/0123456789abcdef", 404), ("/v1/reviews/0123456789abcdef/diff", 404),
        ("/v1/reviews/nonsense", 422), ("/v1/reviews?limit=0", 422), ("/v1/reviews?limit=101", 422),
        ("/v1/reviews?cursor=x", 422),
        ("/v1/nothing", 404), ("/nothing", 404),
    ],
)  # fmt: skip
def test_unknown_path_id_or_parameter_is_a_problem(api, path, status):
    _problem_detail(api.get(path), status)


def test_unknown_method_is_a_problem(api):
    _problem_detail(api.request("DELETE", "/v1/reviews"), 405)


def test_unreachable_store_is_a_problem_without_its_address():
    api = Api(UNREACHABLE_STORE)
    for response in (
        api.post("/v1/reviews", json=UPGRADE),
        api.get("/v1/reviews"),
        api.get("/v1/reviews/0123456789abcdef"),
    ):
        assert _problem_detail(response, 503) == "the store does not answer"
        assert int(response.headers["retry-after"]) > 0
        assert "hush" not in response.text


def test_damaged_review_is_a_problem_and_others_are_listed(api, client):
    damaged, sound = (
        api.post("/v1/reviews", json={**UPGRADE, "to": f"1.3.{n}"}).json()["id"] for n in range(2)
    )
    client.hset(review_key(damaged), "package", b"left\xffpad")
    for path in (f"/v1/reviews/{damaged}", f"/v1/reviews/{damaged}/diff"):
        assert "damaged" in _problem_detail(api.get(path), 500)
    page = api.get("/v1/reviews?limit=100")
    assert [review["id"] for review in page.json()["reviews"]] == [sound]


def test_diff_that_the_store_lost_is_gone(api, worker, client):
    path = api.post("/v1/reviews", json=UPGRADE).headers["location"]
    result = RESULT.model_copy(update={"statistics": Statistics(files_modified=1)})
    worker.finish(worker.claim(), result, "--- a\n")
    client.delete(diff_key(path.rpartition("/")[2]))
    assert "dropped" in _problem_detail(api.get(f"{path}/diff"), 410)
    assert api.get(path).status_code == 200


def test_diff_that_is_lost_while_it_is_read_is_incomplete(redis_url, worker, client):
    diff = random.Random(1).randbytes(500_000).hex()
    id_ = Store(client).submit("p", "1.0.0", "2.0.0")[0].id
    worker.finish(worker.claim(), RESULT, diff)
    with api_process.running(api_process.with_store(redis_url)) as api, httpx.Client() as reader:
        headers = {"Authorization": f"Bearer {api_process.TOKEN}"}
        url = f"{api.url}/v1/reviews/{id_}/diff"
        assert reader.get(url, headers=headers).text == diff
        assert reader.head(url, headers=headers).headers["content-length"] == str(len(diff))
        with reader.stream("GET", url, headers=headers) as response:
            client.delete(diff_key(id_))
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()
        assert reader.get(f"{api.url}/health").status_code == 200
        assert [line.get("exception") for line in api.lines if line.get("exception")] == []


def test_internal_error_is_a_problem_without_details(api, monkeypatch):
    monkeypatch.setattr(Store, "get", lambda *_: 1 / 0)
    response = api.get("/v1/reviews/0123456789abcdef", headers={"X-Request-ID": "broken-17"})
    assert "division" not in _problem_detail(response, 500)
    assert response.headers["x-request-id"] == "broken-17"


# --- methods and paths


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/openapi.json", "/v1/reviews", "/v1/reviews/0123456789abcdef"]
)
def test_head_is_get_without_a_body(api, path):
    get, head = api.get(path), api.request("HEAD", path)
    assert head.content == b""
    for name in ("content-type", "content-length"):
        assert head.headers[name] == get.headers[name]
    assert head.status_code == get.status_code


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/reviews", {"GET", "HEAD", "POST"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("OPTIONS", "/ready", {"GET", "HEAD"}),
        ("X" * 500, "/openapi.json", {"GET", "HEAD"}),
    ],
)
def test_unsupported_method_names_those_that_are_supported(api, method, path, allowed):
    response = api.request(method, path)
    _problem_detail(response, 405)
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/health/", "/ready/", "/v1/reviews/", "/openapi.json/"])
def test_path_with_a_slash_is_no_redirect(api, path):
    response = api.get(path, headers={"Host": "evil.invalid"})
    _problem_detail(response, 404)
    assert "location" not in response.headers


@pytest.mark.parametrize("path", ["/v1%2Freviews", "/v1/reviews%2f0123456789abcdef", "/%2fhealth"])
def test_encoded_slash_is_no_slash(api, path):
    for token in (f"Bearer {TOKEN}", None):
        _problem_detail(api.get(path, headers={"Authorization": token}), 404)


def test_wrong_tokens_are_limited_a_client_network():
    now = [0.0]
    limiter = FailureLimiter(lambda: now[0])
    for client in ("192.0.2.1", "2001:db8::1"):
        assert [limiter.take(client) for _ in range(FAILURES_BURST)] == [0] * FAILURES_BURST
        assert limiter.take(client) > 0
    assert limiter.take("2001:db8::2:1") > 0  # the same host's network
    assert limiter.take("::ffff:192.0.2.1") > 0  # the same address
    assert limiter.take("192.0.2.2") == limiter.take("2001:db8:0:1::1") == limiter.take("x") == 0
    now[0] += 1
    assert limiter.take("192.0.2.1") == 0


def test_number_of_limited_clients_is_bounded():
    limiter = FailureLimiter()
    for number in range(2 * MAX_CLIENTS):
        limiter.take(f"client-{number}" + "x" * 1000)
    assert len(limiter._buckets) == MAX_CLIENTS
