"""worker.llm: the key is sent to the provider, and shown nowhere."""

import json
import logging

import httpx
import pytest
from pydantic import AnyHttpUrl, Secret, SecretStr

from tests.support.llm_server import KEY, Answer, serving, thinks
from tests.support.upgrades import NOW, changed, upgrade
from worker.llm import Missing, summarize
from worker.risk import assess

CHANGE = upgrade(changed("lib/a.js", "await fetch(url)"))
ASSESSMENT = assess(CHANGE, NOW)


def _echoes_the_key(status: int) -> Answer:
    """Answer with the key in all places that there are."""

    def answer(handler):
        message = {"summary": f"{KEY} and S.", "risk": 0.5, "reasons": [f"because {KEY}"]}
        body = json.dumps({"choices": [{"message": {"content": json.dumps(message)}}], "key": KEY})
        handler.send_response(status, KEY)
        handler.send_header("x-key", KEY)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def _shown(caplog: pytest.LogCaptureFixture) -> str:
    records = "".join(f"{vars(record)}{record.getMessage()}" for record in caplog.records)
    return caplog.text + records


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_the_key_is_in_no_log_and_no_result(
    status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    with serving(_echoes_the_key(status)) as provider:
        llm = provider.llm()
        opinion = summarize(llm, CHANGE, ASSESSMENT)
    if status == 200:
        assert opinion.summary == "********** and S."
        assert opinion.reasons == ("because **********",)
    assert KEY in provider.headers[0]["authorization"]  # it was sent at all
    captured = capfd.readouterr()
    for text in (repr(opinion), repr(llm), str(llm), _shown(caplog), captured.out, captured.err):
        assert KEY not in text


@pytest.mark.parametrize("key", ["sk-secret\nx: y", "sk-secret\u00fc", "sk-se\x00cret"])
def test_a_key_that_cannot_be_sent_is_not_tried_and_not_shown(
    key: str, caplog: pytest.LogCaptureFixture
):
    with serving(thinks()) as provider:
        opinion = summarize(provider.llm(api_key=SecretStr(key)), CHANGE, ASSESSMENT)
    assert opinion.missing is Missing.KEY
    assert provider.asked == []
    assert "sk-se" not in repr(opinion) + _shown(caplog)


def test_a_key_with_a_newline_at_its_end_is_sent_without_it():
    with serving(thinks()) as provider:
        llm = provider.llm(api_key=SecretStr(f"{KEY}\n"))
        assert summarize(llm, CHANGE, ASSESSMENT).summary
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"


def test_an_error_of_a_library_that_holds_the_key_ends_here(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(self, method, url, **sent):
        raise RuntimeError(f"cannot send {sent}")

    monkeypatch.setattr(httpx.AsyncClient, "stream", broken)
    caplog.set_level(logging.DEBUG)
    with serving(thinks()) as provider:
        opinion = summarize(provider.llm(), CHANGE, ASSESSMENT)
    assert opinion.missing is Missing.FAILED
    assert "RuntimeError" in _shown(caplog)
    assert KEY not in _shown(caplog)


def test_a_password_in_the_address_is_in_no_log_and_no_result(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with serving(thinks("the password is p@ssw0rd or p%40ssw0rd")) as provider:
        url = Secret(AnyHttpUrl(f"http://me:p%40ssw0rd@127.0.0.1:{provider.port}/v1"))
        opinion = summarize(provider.llm(base_url=url, api_key=None), CHANGE, ASSESSMENT)
    assert provider.headers[0]["authorization"].startswith("Basic ")
    assert opinion.summary == "the password is ********** or **********"
    assert "ssw0rd" not in repr(opinion) + _shown(caplog)
