"""Tests of worker.llm: the key is sent to the provider and appears nowhere else."""

import json
import logging

import httpx
import pytest
from pydantic import AnyHttpUrl, Secret, SecretStr

from tests.support.llm_server import KEY, Reply, make_opinion_reply, serving
from tests.support.upgrades import NOW, changed_file, upgrade
from worker.llm import MissingReason
from worker.llm.opinion import summarize
from worker.llm.prompt import describe
from worker.risk import assess

CHANGE = upgrade(changed_file("lib/a.js", "await fetch(url)"))
ASSESSMENT = assess(CHANGE, NOW)
DATA, RISK = describe(CHANGE, ASSESSMENT), ASSESSMENT.risk


def _echo_key(status: int) -> Reply:
    """Return a reply with the key in the status, a header, the body and the model's answer."""

    def reply(handler):
        message = {"summary": f"{KEY} and S.", "risk": 0.5, "reasons": [f"because {KEY}"]}
        body = json.dumps({"choices": [{"message": {"content": json.dumps(message)}}], "key": KEY})
        handler.send_response(status, KEY)
        handler.send_header("x-key", KEY)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return reply


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    records = "".join(f"{vars(record)}{record.getMessage()}" for record in caplog.records)
    return caplog.text + records


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_the_key_is_not_logged_and_not_in_the_result(
    status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    with serving(_echo_key(status)) as provider:
        llm = provider.settings()
        opinion = summarize(llm, DATA, RISK)
    if status == 200:
        assert opinion.summary == "********** and S."
        assert opinion.reasons == ("because **********",)
    assert KEY in provider.headers[0]["authorization"]  # the test is valid: the key was sent
    captured = capfd.readouterr()
    for text in (repr(opinion), repr(llm), str(llm), _logged(caplog), captured.out, captured.err):
        assert KEY not in text


@pytest.mark.parametrize("key", ["sk-secret\nx: y", "sk-secret\u00fc", "sk-se\x00cret"])
def test_an_invalid_key_is_not_sent_and_not_logged(key: str, caplog: pytest.LogCaptureFixture):
    with serving(make_opinion_reply()) as provider:
        opinion = summarize(provider.settings(api_key=SecretStr(key)), DATA, RISK)
    assert opinion.missing is MissingReason.INVALID_KEY
    assert provider.bodies == []
    assert "sk-se" not in repr(opinion) + _logged(caplog)


def test_a_newline_at_the_end_of_the_key_is_removed():
    with serving(make_opinion_reply()) as provider:
        llm = provider.settings(api_key=SecretStr(f"{KEY}\n"))
        assert summarize(llm, DATA, RISK).summary
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_library_error_with_the_key_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(self, method, url, **options):
        raise RuntimeError(f"cannot send {options}")

    monkeypatch.setattr(httpx.AsyncClient, "stream", fail)
    caplog.set_level(logging.DEBUG)
    with serving(make_opinion_reply()) as provider:
        opinion = summarize(provider.settings(), DATA, RISK)
    assert opinion.missing is MissingReason.FAILED
    assert "RuntimeError" in _logged(caplog)
    assert KEY not in _logged(caplog)


def test_a_password_in_the_address_is_not_logged_and_not_in_the_result(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    with serving(make_opinion_reply("the password is p@ssw0rd or p%40ssw0rd")) as provider:
        url = Secret(AnyHttpUrl(f"http://me:p%40ssw0rd@127.0.0.1:{provider.port}/v1"))
        opinion = summarize(provider.settings(base_url=url, api_key=None), DATA, RISK)
    assert provider.headers[0]["authorization"].startswith("Basic ")
    assert opinion.summary == "the password is ********** or **********"
    assert "ssw0rd" not in repr(opinion) + _logged(caplog)
