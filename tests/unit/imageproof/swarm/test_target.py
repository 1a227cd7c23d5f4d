"""Tests of the selection of a swarm and a stack."""

from __future__ import annotations

import os

import pytest

from imageproof.errors import UsageError
from imageproof.swarm.target import Target, select
from tests.support.fake_swarm import Snapshot, fake_engine

ENGINE = fake_engine(Snapshot(()))


def test_host_or_context_selects_the_engine_inside_the_block(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///local")
    with select(ENGINE, Target("till", context="remote")) as stack:
        assert (stack, os.environ.get("DOCKER_CONTEXT")) == ("till", "remote")
        assert "DOCKER_HOST" not in os.environ
    with select(ENGINE, Target("till", host="ssh://remote.invalid")):
        assert os.environ["DOCKER_HOST"] == "ssh://remote.invalid"
    assert os.environ["DOCKER_HOST"] == "unix:///local"
    with pytest.raises(UsageError), select(ENGINE, Target("till", "a", "b")):
        pass
