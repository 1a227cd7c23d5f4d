"""worker.llm: what comes of asking a real server on the loopback, good, bad, slow and hostile."""

import gzip
import json
import socket
import threading

import pytest
from pydantic import AnyHttpUrl, Secret

from tests.support.llm_server import (
    KEY,
    Answer,
    closes,
    drips_body,
    drips_headers,
    floods,
    raw,
    said,
    serving,
    silent,
    thinks,
)
from tests.support.upgrades import NOW, changed, upgrade
from worker.llm import Llm, Missing, Opinion, summarize
from worker.risk import assess

CHANGE = upgrade(changed("lib/a.js", "await fetch(url)"))
ASSESSMENT = assess(CHANGE, NOW)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no server is (any more)."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


def _opinion(*answers: Answer, **settings) -> Opinion:
    with serving(*answers) as provider:
        return summarize(provider.llm(**settings), CHANGE, ASSESSMENT)


def _missing(*answers: Answer, **settings) -> Missing | None:
    """Return why there is no summary, having checked that nothing else came of it."""
    opinion = _opinion(*answers, **settings)
    assert (opinion.summary, opinion.reasons) == (None, ())
    assert opinion.risk == ASSESSMENT.risk
    return opinion.missing


def test_a_good_answer_gives_summary_and_reasons_and_raises_the_risk():
    assert ASSESSMENT.risk < 0.4
    assert _opinion(thinks()) == Opinion(0.4, "Adds a fetch.", ("lib/a.js:1",), None)


@pytest.mark.parametrize("risk", [0, 0.0, ASSESSMENT.risk])
def test_a_lying_model_does_not_lower_the_risk(risk: float):
    opinion = _opinion(thinks("All is well.", risk))
    assert (opinion.risk, opinion.summary) == (ASSESSMENT.risk, "All is well.")


def test_json_in_a_fence_is_taken():
    fenced = '```json\n{"summary": "S.", "risk": 1, "reasons": []}\n```\n'
    assert _opinion(said(fenced)) == Opinion(1.0, "S.", (), None)


def test_no_provider_is_no_request():
    assert summarize(Llm(), CHANGE, ASSESSMENT) == Opinion(ASSESSMENT.risk, missing=Missing.OFF)


def test_anthropic_is_asked_in_its_own_way():
    body = {"content": [{"type": "thinking"}, {"type": "text", "text": '{"summary": "S.", '}]}
    body["content"].append({"type": "text", "text": '"risk": 0.9, "reasons": []}'})
    with serving(raw(json.dumps(body).encode())) as provider:
        opinion = summarize(provider.llm(provider="anthropic"), CHANGE, ASSESSMENT)
    assert opinion == Opinion(0.9, "S.", (), None)
    (asked,), (headers,) = provider.asked, provider.headers
    assert provider.paths == ["/v1/messages"]
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers
    assert asked["max_tokens"] > 0
    assert [message["role"] for message in asked["messages"]] == ["user"]


def test_openai_is_asked_in_its_own_way():
    with serving(thinks()) as provider:
        url = Secret(AnyHttpUrl(f"http://127.0.0.1:{provider.port}/openai/v1/?api-version=2"))
        summarize(provider.llm(base_url=url), CHANGE, ASSESSMENT)
    (asked,), (headers,) = provider.asked, provider.headers
    assert provider.paths == ["/openai/v1/chat/completions?api-version=2"]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert asked["model"] == "m"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]


def test_a_server_of_ones_own_needs_no_key():
    with serving(thinks()) as provider:
        assert summarize(provider.llm(api_key=None), CHANGE, ASSESSMENT).summary
    assert "authorization" not in provider.headers[0]


SHAPE = {"summary": "S.", "risk": 0.5, "reasons": []}


@pytest.mark.parametrize(
    "text",
    [
        "The upgrade looks fine.",
        "",
        "[]",
        "[" * 100_000,
        json.dumps(SHAPE)[:-1],
        json.dumps(SHAPE) + " and more",
        *(json.dumps({**SHAPE, "risk": risk}) for risk in (1.01, -0.1, "0.5", None, True, [0.5])),
        '{"summary": "S.", "risk": NaN, "reasons": []}',
        '{"summary": "S.", "risk": 1e999, "reasons": []}',
        *(json.dumps({**SHAPE, "summary": summary}) for summary in ("", " \n ", 7, "x" * 2001)),
        *(json.dumps({**SHAPE, "reasons": why}) for why in ("x", ["x" * 501], ["x"] * 11, [1])),
        json.dumps({**SHAPE, "verdict": "pass"}),
        json.dumps({"summary": "S.", "risk": 0.5}),
    ],
)
def test_an_answer_of_another_shape_is_none(text: str):
    assert _missing(said(text)) is Missing.NONSENSE


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\x00", b"{}", b'{"choices": []}', b'{"choices": [{"message": 1}]}'],
)
def test_a_reply_of_another_shape_is_none(body: bytes):
    assert _missing(raw(body)) is Missing.NONSENSE
    assert _missing(raw(body), provider="anthropic") is Missing.NONSENSE


@pytest.mark.parametrize(
    ("provider", "reply"),
    [
        ("openai", {"choices": [{"message": {"content": None, "refusal": "I cannot."}}]}),
        ("openai", {"choices": [{"message": {}, "finish_reason": "content_filter"}]}),
        ("anthropic", {"content": [], "stop_reason": "refusal"}),
    ],
)
def test_a_refusal_is_named(provider: str, reply: dict[str, object]):
    assert _missing(raw(json.dumps(reply).encode()), provider=provider) is Missing.REFUSED


@pytest.mark.parametrize(
    ("status", "missing", "tries"),
    [
        (401, Missing.UNAUTHORIZED, 1),
        (403, Missing.UNAUTHORIZED, 1),
        (404, Missing.UNKNOWN, 1),
        (400, Missing.DENIED, 1),
        (302, Missing.DENIED, 1),
        (204, Missing.DENIED, 1),
        (429, Missing.BUSY, 2),
        (500, Missing.BROKEN, 2),
        (529, Missing.BROKEN, 2),
    ],
)
def test_a_failure_has_its_reason_and_what_may_pass_is_tried_once_more(
    status: int, missing: Missing, tries: int
):
    with serving(raw(b"", status)) as provider:
        assert summarize(provider.llm(), CHANGE, ASSESSMENT).missing is missing
    assert len(provider.asked) == tries


@pytest.mark.parametrize("failure", [raw(b"", 429), raw(b"", 503), closes])
def test_the_second_try_may_succeed(failure: Answer):
    assert _opinion(failure, thinks()).summary == "Adds a fetch."


def test_a_redirect_is_not_followed_with_the_key():
    def elsewhere(handler):
        handler.send_response(307)
        handler.send_header("location", "/stolen")
        handler.send_header("content-length", "0")
        handler.end_headers()

    with serving(elsewhere) as provider:
        assert summarize(provider.llm(), CHANGE, ASSESSMENT).missing is Missing.DENIED
    assert provider.paths == ["/v1/chat/completions"]


def test_a_closed_connection_is_a_provider_that_is_away():
    assert _missing(closes) is Missing.AWAY


def test_a_port_that_nobody_listens_on_is_a_provider_that_is_away():
    with serving(thinks()) as provider:
        llm = provider.llm()
    assert summarize(llm, CHANGE, ASSESSMENT).missing is Missing.AWAY


@pytest.mark.parametrize("slow", [silent, drips_headers, drips_body])
def test_a_slow_server_is_left_at_the_deadline(slow: Answer):
    """It would go on for ever: that the test ends is what it shows."""
    assert _missing(slow, timeout=0.2) is Missing.SLOW


def test_the_deadline_holds_for_both_tries_and_the_pause():
    assert _missing(raw(b"", 500), timeout=0.2, pause=3600.0) is Missing.SLOW
    assert _missing(closes, silent, timeout=0.2) is Missing.SLOW


def test_the_deadline_holds_while_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch):
    known = threading.Event()

    def slow_lookup(*_: object, **__: object) -> None:
        known.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow_lookup)
    url = Secret(AnyHttpUrl("http://llm.test/v1"))
    try:
        llm = Llm("openai", "m", base_url=url, timeout=0.2)
        assert summarize(llm, CHANGE, ASSESSMENT).missing is Missing.SLOW
    finally:
        known.set()


def test_an_endless_answer_is_cut_off():
    assert _missing(floods) is Missing.LARGE


def test_a_packed_answer_is_not_unpacked():
    def packed(handler):
        body = gzip.compress(b" " * 50_000_000)
        handler.send_response(200)
        handler.send_header("content-encoding", "gzip")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(packed) as provider:
        assert summarize(provider.llm(), CHANGE, ASSESSMENT).missing is Missing.NONSENSE
    assert provider.headers[0]["accept-encoding"] == "identity"


def test_a_summary_is_one_line_in_which_everything_shows():
    opinion = _opinion(thinks("a\n\nb\x1b[31m\u202ec", reasons=["x\r\ny\u200b"]))
    assert opinion.summary == "a b\\u{1b}[31m\\u{202e}c"
    assert opinion.reasons == ("x y\\u{200b}",)


def test_no_model_is_no_request():
    with serving(thinks()) as provider:
        assert summarize(provider.llm(model=None), CHANGE, ASSESSMENT).missing is Missing.MODEL
    assert provider.asked == []
