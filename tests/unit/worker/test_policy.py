"""Tests of worker.policy: workers that may judge differently have different policies."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from app.config import WorkerSettings
from tests.support.upgrades import NOW, upgrade
from worker import policy
from worker.risk import assess

URL = "http://user:hush@llm.test/v1"


def _policy(**variables: object) -> str:
    return policy.policy(WorkerSettings.model_validate(variables))


def test_same_settings_have_the_same_policy():
    assert _policy(llm_base_url=URL) == _policy(llm_base_url=URL)


@pytest.mark.parametrize(
    "changed",
    [
        {"policy_threshold": 0.6}, {"llm_provider": "openai"}, {"llm_model": "n"},
        {"llm_base_url": "http://other.test/v1"}, {"llm_base_url": "http://llm.test/v2"},
        {"artifactory_url": "http://npm.test/"}, {"artifactory_hosts": "cdn.test"},
    ],
)  # fmt: skip
def test_other_settings_have_another_policy(changed):
    assert _policy(llm_base_url=URL) != _policy(**{"llm_base_url": URL, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"llm_base_url": "http://llm.test/v1"}, {"llm_api_key": "k"}, {"artifactory_token": "t"},
        {"log_level": "debug"}, {"store_url": "redis://other.test"}, {"worker_poll_interval": 9},
    ],
)  # fmt: skip
def test_secrets_and_irrelevant_settings_are_no_part_of_the_policy(changed):
    assert _policy(llm_base_url=URL) == _policy(**{"llm_base_url": URL, **changed})


@pytest.mark.parametrize("changed", ["review.py", "risk/code.py", "diff/dist/diff.cjs"])
def test_changed_code_has_another_policy(tmp_path, monkeypatch, changed):
    shutil.copytree(policy.FOLDER, tmp_path, ignore=_ignore, dirs_exist_ok=True)
    (tmp_path / "diff/dist").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(policy, "FOLDER", tmp_path)
    policy._code_digest.cache_clear()
    before = _policy()
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    policy._code_digest.cache_clear()
    try:
        assert _policy() != before
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
