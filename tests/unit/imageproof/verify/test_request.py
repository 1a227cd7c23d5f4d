"""Tests of the request: the options of `verify`, and options that contradict each other."""

from __future__ import annotations

import pytest

from imageproof.errors import UsageError
from imageproof.verify.request import Request, parse_request


@pytest.mark.parametrize(
    ("image", "only", "static", "request_"),
    [
        (None, None, False, Request()),
        (None, None, True, Request(static=True)),
        ("api", None, False, Request(image="api")),
        ("api=shop:1", None, False, Request(image="api", reference="shop:1")),
        ("api=shop@sha256:0=1", None, True, Request("api", "shop@sha256:0=1", None, static=True)),
        ("", None, False, Request()),
        (None, "size.budget", False, Request(only="size.budget")),
        (None, "size", False, Request(only="size")),
    ],
)
def test_options_become_a_request(image, only, static, request_):
    assert parse_request(image, only, static=static) == request_


@pytest.mark.parametrize(
    ("only", "static", "deep"),
    [("run.stop", False, True), ("run.stop", True, False), ("run", False, False)],
    ids=["a deep check", "a deep check with --static", "a group with other checks"],
)
def test_only_deep_checks_imply_deep(only, static, deep):
    assert parse_request(None, only, static=static).deep is deep


def test_unknown_check_is_refused():
    with pytest.raises(UsageError, match="no check"):
        parse_request(None, "size.budgets", static=False)


@pytest.mark.parametrize("image", ["=ref", "api="])
def test_incomplete_name_and_reference_is_refused(image):
    with pytest.raises(UsageError, match="NAME=REF"):
        parse_request(image, None, static=False)


def test_static_with_deep_is_refused():
    with pytest.raises(UsageError, match="--static cannot be combined with --deep"):
        parse_request(None, None, static=True, deep=True)


@pytest.mark.parametrize(
    ("image", "only", "options", "message"),
    [
        (None, None, {"static": True}, "cannot be combined"),
        (None, None, {"static": False, "deep": True}, "cannot be combined"),
        ("api=shop:1", None, {"static": False}, "cannot be combined"),
        (None, "size.budget", {"static": False}, "size.budget does not need them"),
        (None, "run.stop", {"static": False}, "run.stop does not need them"),
    ],
)
def test_stack_with_options_of_images_is_refused(image, only, options, message):
    with pytest.raises(UsageError, match=message):
        parse_request(image, only, stack="till", **options)


def test_stack_takes_an_image_and_a_check_of_containers():
    request = parse_request("api", "run.nonroot", static=False, stack="till")
    assert request == Request("api", None, "run.nonroot", stack="till")


@pytest.mark.parametrize("image", [None, "shop", "shop=shop:1"])
def test_platform_without_a_remote_image_is_refused(image):
    with pytest.raises(UsageError, match="--platform"):
        parse_request(image, None, static=True, platform="linux/arm64")


@pytest.mark.parametrize("reference", ["docker://registry.test/shop:1", "./layout"])
def test_platform_chooses_from_a_remote_image(reference):
    request = parse_request(f"shop={reference}", None, static=True, platform="linux/arm64")
    assert request.platform == "linux/arm64"


@pytest.mark.parametrize(
    ("request_", "kind", "reason"),
    [
        (Request(), "containers", "the stack is not running"),
        (Request(), "build", "needs --deep"),
        (Request(static=True), "containers", "--static starts no container"),
        (Request(static=True), "trial", "needs --deep"),
        (Request(image="api", reference="x:1"), "build", "NAME=REF verifies one image"),
        (Request(image="api", reference="x:1"), "containers", "NAME=REF verifies one image"),
    ],
)
def test_reason_of_a_check_that_is_not_run_is_the_one_that_applies(request_, kind, reason):
    assert request_.not_run_reasons[kind].startswith(reason)


@pytest.mark.parametrize(
    ("only", "options", "running"),
    [
        ("run", {}, True),
        ("run.nonroot", {}, True),
        ("run.smoke", {}, False),  # starts the image, not the stack
        ("secret", {}, False),
        (None, {}, False),
        ("run", {"static": True}, False),
        ("run.nonroot", {"stack": "till"}, False),
    ],
)
def test_choice_of_checks_of_running_containers_needs_a_running_stack(only, options, running):
    assert parse_request(None, only, **{"static": False, **options}).running is running
