"""Tests of the selection of a swarm and a stack."""

from __future__ import annotations

import os

import pytest

from imageproof.errors import UsageError
from imageproof.swarm.target import select
from tests.support.fake_swarm import Snapshot, fake_engine


def test_host_or_context_selects_the_engine_inside_the_block(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///local")
    with select(fake_engine(Snapshot(())), "till", None, "remote") as stack:
        assert (stack, os.environ.get("DOCKER_CONTEXT")) == ("till", "remote")
        assert "DOCKER_HOST" not in os.environ
    with select(fake_engine(Snapshot(())), "till", "ssh://remote.invalid", None):
        assert os.environ["DOCKER_HOST"] == "ssh://remote.invalid"
    assert os.environ["DOCKER_HOST"] == "unix:///local"
    with pytest.raises(UsageError), select(fake_engine(Snapshot(())), "till", "a", "b"):
        pass
