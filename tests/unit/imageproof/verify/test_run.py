"""imageproof.verify.run: what of the command line asks for which facts."""

from __future__ import annotations

import pytest

from imageproof.errors import UsageError
from imageproof.verify.run import Request, parse_request


@pytest.mark.parametrize(
    ("image_", "only", "static", "request_"),
    [
        (None, None, False, Request()),
        (None, None, True, Request(static=True)),
        ("api", None, False, Request(image="api")),
        ("api=shop:1", None, False, Request(image="api", reference="shop:1")),
        ("api=shop@sha256:0=1", None, True, Request("api", "shop@sha256:0=1", None, static=True)),
        ("", None, False, Request()),
        (None, "size.budget", False, Request(only="size.budget")),
        (None, "size", False, Request(only="size")),
        (None, "run.stop", False, Request(only="run.stop", deep=True)),
        (None, "run", False, Request(only="run")),  # not all of them are deep
        (None, "run.stop", True, Request(only="run.stop", static=True)),
    ],
)
def test_the_command_line_is_read(image_, only, static, request_):
    assert parse_request(image_, only, static=static) == request_


def test_a_check_that_is_none_is_refused_before_anything_is_read():
    with pytest.raises(UsageError, match="no check"):
        parse_request(None, "size.budgets", static=False)


@pytest.mark.parametrize("image_", ["=ref", "api="])
def test_half_a_pair_of_name_and_reference_is_refused(image_):
    with pytest.raises(UsageError, match="NAME=REF"):
        parse_request(image_, None, static=False)


def test_deep_and_static_contradict_one_another():
    with pytest.raises(UsageError, match="--static starts nothing"):
        parse_request(None, None, static=True, deep=True)


@pytest.mark.parametrize(
    ("image_", "only", "options"),
    [
        (None, None, {"static": True}),
        (None, None, {"static": False, "deep": True}),
        ("api=shop:1", None, {"static": False}),
        (None, "size.budget", {"static": False}),
        (None, "run.stop", {"static": False}),
    ],
)
def test_a_stack_of_a_swarm_is_looked_at_as_it_runs_and_no_further(image_, only, options):
    with pytest.raises(UsageError, match="--stack looks at what runs"):
        parse_request(image_, only, stack="till", **options)
    request = parse_request("api", "run.nonroot", static=False, stack="till")
    assert request == Request("api", None, "run.nonroot", stack="till")


@pytest.mark.parametrize("image", [None, "shop", "shop=shop:1"])
def test_a_platform_is_named_of_what_may_be_for_several(image):
    with pytest.raises(UsageError, match="--platform"):
        parse_request(image, None, static=True, platform="linux/arm64")
    for reference in ("docker://registry.test/shop:1", "./layout"):
        request = parse_request(f"shop={reference}", None, static=True, platform="linux/arm64")
        assert request.platform == "linux/arm64"
