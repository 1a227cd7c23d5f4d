"""Tests of worker.llm with a server on the loopback: good, invalid, slow and hostile replies."""

import gzip
import json
import socket
import threading

import pytest
from pydantic import AnyHttpUrl, Secret

from tests.support.llm_server import (
    KEY,
    Reply,
    disconnect,
    endless_body,
    endless_headers,
    make_chat_reply,
    make_opinion_reply,
    make_raw_reply,
    no_reply,
    serving,
    slow_body,
)
from tests.support.upgrades import NOW, changed_file, upgrade
from worker.llm import LlmSettings, MissingReason, Opinion
from worker.llm.opinion import summarize
from worker.llm.prompt import describe
from worker.risk import assess

CHANGE = upgrade(changed_file("lib/a.js", "await fetch(url)"))
ASSESSMENT = assess(CHANGE, NOW)
DATA, RISK = describe(CHANGE, ASSESSMENT), ASSESSMENT.risk


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the loopback without a proxy, also after the server has stopped."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


def _opinion(*replies: Reply, **settings) -> Opinion:
    with serving(*replies) as provider:
        return summarize(provider.settings(**settings), DATA, RISK)


def _missing(*replies: Reply, **settings) -> MissingReason | None:
    """Return why the summary is missing, and check that the opinion is otherwise empty."""
    opinion = _opinion(*replies, **settings)
    assert (opinion.summary, opinion.reasons) == (None, ())
    assert opinion.risk == RISK
    return opinion.missing


def test_a_valid_answer_gives_summary_and_reasons_and_raises_the_risk():
    assert RISK < 0.4
    assert _opinion(make_opinion_reply()) == Opinion(0.4, "Adds a fetch.", ("lib/a.js:1",), None)


@pytest.mark.parametrize("risk", [0, 0.0, RISK])
def test_a_low_risk_from_the_model_does_not_lower_the_risk(risk: float):
    opinion = _opinion(make_opinion_reply("All is well.", risk))
    assert (opinion.risk, opinion.summary) == (RISK, "All is well.")


def test_fenced_json_is_accepted():
    fenced = '```json\n{"summary": "S.", "risk": 1, "reasons": []}\n```\n'
    assert _opinion(make_chat_reply(fenced)) == Opinion(1.0, "S.", (), None)


def test_without_a_provider_no_request_is_sent():
    assert summarize(LlmSettings(), DATA, RISK) == Opinion(RISK, missing=MissingReason.DISABLED)


def test_the_request_follows_the_messages_api_of_anthropic():
    texts = ['{"summary": "S.", ', '"risk": 0.9, "reasons": []}']
    blocks = [{"type": "thinking"}, *({"type": "text", "text": text} for text in texts)]
    with serving(make_raw_reply(json.dumps({"content": blocks}).encode())) as provider:
        opinion = summarize(provider.settings(provider="anthropic"), DATA, RISK)
    assert opinion == Opinion(0.9, "S.", (), None)
    (body,), (headers,) = provider.bodies, provider.headers
    assert provider.paths == ["/v1/messages"]
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers
    assert body["max_tokens"] > 0
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_the_request_follows_the_chat_completions_api():
    with serving(make_opinion_reply()) as provider:
        url = Secret(AnyHttpUrl(f"http://127.0.0.1:{provider.port}/openai/v1/?api-version=2"))
        summarize(provider.settings(base_url=url), DATA, RISK)
    (body,), (headers,) = provider.bodies, provider.headers
    assert provider.paths == ["/openai/v1/chat/completions?api-version=2"]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["model"] == "m"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_a_server_without_authentication_gets_no_key():
    with serving(make_opinion_reply()) as provider:
        assert summarize(provider.settings(api_key=None), DATA, RISK).summary
    assert "authorization" not in provider.headers[0]


VALID = {"summary": "S.", "risk": 0.5, "reasons": []}


@pytest.mark.parametrize(
    "text",
    [
        "The upgrade looks fine.",
        "",
        "[]",
        "[" * 100_000,
        json.dumps(VALID)[:-1],
        json.dumps(VALID) + " and more",
        *(json.dumps({**VALID, "risk": risk}) for risk in (1.01, -0.1, "0.5", None, True, [0.5])),
        '{"summary": "S.", "risk": NaN, "reasons": []}',
        '{"summary": "S.", "risk": 1e999, "reasons": []}',
        *(json.dumps({**VALID, "summary": summary}) for summary in ("", " \n ", 7, "x" * 2001)),
        *(json.dumps({**VALID, "reasons": why}) for why in ("x", ["x" * 501], ["x"] * 11, [1])),
        json.dumps({**VALID, "verdict": "pass"}),
        json.dumps({"summary": "S.", "risk": 0.5}),
    ],
)
def test_an_invalid_answer_is_rejected(text: str):
    assert _missing(make_chat_reply(text)) is MissingReason.INVALID_ANSWER


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\x00", b"{}", b'{"choices": []}', b'{"choices": [{"message": 1}]}'],
)
def test_an_invalid_response_is_rejected(body: bytes):
    assert _missing(make_raw_reply(body)) is MissingReason.INVALID_ANSWER
    assert _missing(make_raw_reply(body), provider="anthropic") is MissingReason.INVALID_ANSWER


@pytest.mark.parametrize(
    ("provider", "reply"),
    [
        ("openai", {"choices": [{"message": {"content": None, "refusal": "I cannot."}}]}),
        ("openai", {"choices": [{"message": {}, "finish_reason": "content_filter"}]}),
        ("anthropic", {"content": [], "stop_reason": "refusal"}),
    ],
)
def test_a_refusal_is_reported(provider: str, reply: dict[str, object]):
    assert (
        _missing(make_raw_reply(json.dumps(reply).encode()), provider=provider)
        is MissingReason.REFUSED
    )


@pytest.mark.parametrize(
    ("status", "missing", "attempts"),
    [
        (401, MissingReason.UNAUTHORIZED, 1),
        (403, MissingReason.UNAUTHORIZED, 1),
        (404, MissingReason.NOT_FOUND, 1),
        (400, MissingReason.REJECTED, 1),
        (302, MissingReason.REJECTED, 1),
        (204, MissingReason.REJECTED, 1),
        (429, MissingReason.RATE_LIMITED, 2),
        (500, MissingReason.SERVER_ERROR, 2),
        (529, MissingReason.SERVER_ERROR, 2),
    ],
)
def test_a_status_has_its_reason_and_a_temporary_failure_is_retried_once(
    status: int, missing: MissingReason, attempts: int
):
    with serving(make_raw_reply(b"", status)) as provider:
        assert summarize(provider.settings(), DATA, RISK).missing is missing
    assert len(provider.bodies) == attempts


@pytest.mark.parametrize(
    "failure", [make_raw_reply(b"", 429), make_raw_reply(b"", 503), disconnect]
)
def test_the_second_attempt_may_succeed(failure: Reply):
    assert _opinion(failure, make_opinion_reply()).summary == "Adds a fetch."


def test_a_redirect_is_not_followed():
    def redirect(handler):
        handler.send_response(307)
        handler.send_header("location", "/stolen")
        handler.send_header("content-length", "0")
        handler.end_headers()

    with serving(redirect) as provider:
        assert summarize(provider.settings(), DATA, RISK).missing is MissingReason.REJECTED
    assert provider.paths == ["/v1/chat/completions"]


def test_a_closed_connection_means_unreachable():
    assert _missing(disconnect) is MissingReason.UNREACHABLE


def test_a_closed_port_means_unreachable():
    with serving(make_opinion_reply()) as provider:
        settings = provider.settings()
    assert summarize(settings, DATA, RISK).missing is MissingReason.UNREACHABLE


@pytest.mark.parametrize("slow", [no_reply, endless_headers, slow_body])
def test_a_request_to_a_slow_server_ends_at_the_deadline(slow: Reply):
    assert _missing(slow, timeout=0.2) is MissingReason.TIMEOUT


def test_the_deadline_covers_both_attempts_and_the_pause():
    assert _missing(make_raw_reply(b"", 500), timeout=0.2, pause=3600.0) is MissingReason.TIMEOUT
    assert _missing(disconnect, no_reply, timeout=0.2) is MissingReason.TIMEOUT


def test_the_deadline_covers_name_resolution(monkeypatch: pytest.MonkeyPatch):
    finished = threading.Event()

    def slow_lookup(*_: object, **__: object) -> None:
        finished.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow_lookup)
    url = Secret(AnyHttpUrl("http://llm.test/v1"))
    try:
        llm = LlmSettings("openai", "m", base_url=url, timeout=0.2)
        assert summarize(llm, DATA, RISK).missing is MissingReason.TIMEOUT
    finally:
        finished.set()


def test_an_endless_response_is_rejected():
    assert _missing(endless_body) is MissingReason.TOO_LARGE


def test_a_compressed_response_is_not_decompressed():
    def compressed(handler):
        body = gzip.compress(b" " * 50_000_000)
        handler.send_response(200)
        handler.send_header("content-encoding", "gzip")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(compressed) as provider:
        assert summarize(provider.settings(), DATA, RISK).missing is MissingReason.INVALID_ANSWER
    assert provider.headers[0]["accept-encoding"] == "identity"


def test_a_summary_is_one_printable_line():
    opinion = _opinion(make_opinion_reply("a\n\nb\x1b[31m\u202ec", reasons=["x\r\ny\u200b"]))
    assert opinion.summary == "a b\\u{1b}[31m\\u{202e}c"
    assert opinion.reasons == ("x y\\u{200b}",)


def test_without_a_model_no_request_is_sent():
    with serving(make_opinion_reply()) as provider:
        assert (
            summarize(provider.settings(model=None), DATA, RISK).missing is MissingReason.NO_MODEL
        )
    assert provider.bodies == []
