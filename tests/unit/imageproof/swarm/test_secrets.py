"""Tests of the names of secrets."""

from __future__ import annotations

from imageproof.swarm.secrets import MAX_NAME_LENGTH, make_secret
from tests.support.sample_facts import SECRET


def test_secret_name_depends_on_its_value_and_stack():
    one, same, other = (make_secret("till", "api_token", v) for v in ("a", "a", "b"))
    assert one == same
    assert one.name != other.name
    assert make_secret("other", "api_token", "a").name.split("_")[-1] != one.name.split("_")[-1]
    assert SECRET not in repr(make_secret("till", "api_token", SECRET))


def test_long_secret_name_keeps_its_digest():
    names = {make_secret("s" * 60, "api_token", value).name for value in "ab"}
    assert len(names) == 2
    assert {len(name) for name in names} == {MAX_NAME_LENGTH}
