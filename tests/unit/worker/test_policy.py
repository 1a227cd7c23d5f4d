"""Tests of worker.policy: workers that may judge differently have different policies."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from pydantic import AnyHttpUrl, Secret, SecretStr

from tests.support.upgrades import NOW, upgrade
from worker import policy
from worker.llm import LlmSettings
from worker.risk import assess

URL = Secret(AnyHttpUrl("http://llm.test/v1"))
LLM = LlmSettings("openai", model="m", base_url=URL)


def test_same_settings_have_the_same_policy():
    assert policy.policy(0.5, LLM) == policy.policy(0.5, LLM)


@pytest.mark.parametrize(
    "other",
    [
        (0.6, LLM), (0.5, LlmSettings()), (0.5, LlmSettings("openai", model="n", base_url=URL)),
        (0.5, LlmSettings("openai", model="m")), (0.5, LlmSettings("anthropic", model="m")),
    ],
)  # fmt: skip
def test_other_settings_have_another_policy(other):
    assert policy.policy(0.5, LLM) != policy.policy(*other)


def test_secrets_are_no_part_of_the_policy():
    with_key = LlmSettings("openai", model="m", base_url=URL, api_key=SecretStr("k"))
    assert policy.policy(0.5, LLM) == policy.policy(0.5, with_key)


@pytest.mark.parametrize("changed", ["review.py", "risk/code.py", "diff/dist/diff.cjs"])
def test_changed_code_has_another_policy(tmp_path, monkeypatch, changed):
    shutil.copytree(policy.FOLDER, tmp_path, ignore=_ignore, dirs_exist_ok=True)
    (tmp_path / "diff/dist").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(policy, "FOLDER", tmp_path)
    policy._code_digest.cache_clear()
    before = policy.policy(0.5, LLM)
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    policy._code_digest.cache_clear()
    try:
        assert policy.policy(0.5, LLM) != before
    finally:
        policy._code_digest.cache_clear()


def _ignore(_folder: str, names: list[str]) -> set[str]:
    return {"node_modules", "__pycache__"} & set(names)


def test_only_the_listed_signals_depend_on_the_time_of_the_review():
    change = upgrade(
        old_metadata={"published": NOW - timedelta(days=4000)},
        new_metadata={"published": NOW - timedelta(hours=1), "publisher": "another"},
        new_manifest={"scripts": {"postinstall": "node x.js"}},
    )
    now, later = (
        {(f.signal, f.weight) for f in assess(change, time).findings}
        for time in (NOW, NOW + timedelta(days=30))
    )
    assert {signal for signal, _ in now ^ later} == policy.CHANGING_SIGNALS
