"""Tests of the selection of a swarm and a stack."""

from __future__ import annotations

import os

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import UsageError
from imageproof.swarm.target import Target, select

ENGINE = Engine((), "shop")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target(), ["docker"]),
        (Target("till"), ["docker"]),
        (Target(context="remote"), ["docker", "--context", "remote"]),
        (Target(host="ssh://remote.invalid"), ["docker", "--host", "ssh://remote.invalid"]),
    ],
)
def test_host_or_context_selects_the_engine_of_each_command(target, words):
    before = dict(os.environ)
    engine, stack = select(ENGINE, target)
    assert stack == (target.name or "shop")
    assert engine._command_prefix == words
    assert dict(os.environ) == before


def test_host_and_context_exclude_each_other():
    with pytest.raises(UsageError):
        select(ENGINE, Target("till", "a", "b"))
