"""Tests of worker.summarize: the language model is queried by a process of its own."""

from __future__ import annotations

import threading

import pytest

from tests.support.llm_server import KEY, make_opinion_reply, no_reply, serving
from worker import summarize
from worker.child import Cancelled, Children
from worker.llm import LlmSettings, MissingReason, Opinion
from worker.summarize import Summarizer


def test_the_opinion_crosses_the_process_boundary():
    with serving(make_opinion_reply("Adds \U0001f600.", 0.9, ["a", "b"])) as provider:
        opinion = Summarizer(provider.settings())(Children(), "data of the upgrade", 0.2)
    assert opinion == Opinion(0.9, "Adds \U0001f600.", ("a", "b"), None)
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "data of the upgrade" in provider.bodies[0]["messages"][1]["content"]


def test_without_a_provider_no_process_starts():
    children = Children()
    children.cancel()  # a process would raise Cancelled
    opinion = Summarizer(LlmSettings())(children, "", 0.2)
    assert opinion == Opinion(0.2, missing=MissingReason.DISABLED)


def test_a_slow_provider_is_a_missing_summary(caplog):
    with serving(no_reply) as provider:
        opinion = Summarizer(provider.settings(timeout=0.2))(Children(), "data", 0.2)
    assert opinion == Opinion(0.2, missing=MissingReason.TIMEOUT)
    (record,) = caplog.records
    assert (record.message, record.reason) == ("no summary", "the provider took too long")


@pytest.mark.parametrize(
    ("seconds", "reason"), [(0.0, MissingReason.TIMEOUT), (30.0, MissingReason.FAILED)]
)
def test_a_process_that_fails_is_a_missing_summary(seconds, reason, monkeypatch, caplog):
    monkeypatch.setattr(summarize, "START_SECONDS", seconds)
    monkeypatch.setattr(summarize, "_DATA_BYTES", 8 * 2**20)  # too little to start
    with serving(make_opinion_reply()) as provider:
        llm = provider.settings(timeout=0.01)
        assert Summarizer(llm)(Children(), "data", 0.2) == Opinion(0.2, missing=reason)
    assert KEY not in caplog.text


def test_a_cancellation_ends_a_query_at_once():
    children = Children()
    with serving(no_reply) as provider:
        timer = threading.Timer(0.5, children.cancel)
        timer.start()
        with pytest.raises(Cancelled):
            Summarizer(provider.settings(timeout=600))(children, "data", 0.2)
        timer.join()
