"""Tests of reading registry credentials as Docker's client does."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from imageproof.errors import ConfigurationError
from imageproof.registry.credentials import Credentials, find_credentials

HOST = "registry.test:5000"
WORD = "word-of-a-test"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def configure(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write(document: object) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "config.json").write_text(text)

    return write


@pytest.fixture
def helper(monkeypatch, tmp_path):
    """A credential helper named `fake` that runs a shell script."""

    def write_script(script: str) -> None:
        path = tmp_path / "bin/docker-credential-fake"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return write_script


def test_no_credentials_without_login(configure):
    assert find_credentials(HOST) is None
    configure({})
    assert find_credentials(HOST) is None
    configure({"auths": {"other.test": {"auth": encoded(f"a:{WORD}")}, HOST: {}}})
    assert find_credentials(HOST) is None


@pytest.mark.parametrize("name", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"{HOST}/"])
def test_entry_is_found_by_its_host(configure, name):
    configure({"auths": {name: {"auth": encoded(f"some:{WORD}:more")}}})
    assert find_credentials(HOST) == Credentials("some", f"{WORD}:more")


def test_identity_token_replaces_a_password(configure):
    configure({"auths": {HOST: {"auth": encoded("some:"), "identitytoken": WORD}}})
    assert find_credentials(HOST) == Credentials("some", "", WORD)


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_helper_is_queried_for_the_host(configure, helper, key):
    helper(
        'test "$1" = get && test "$(cat)" = registry.test:5000 && '
        f'echo \'{{"Username": "some", "Secret": "{WORD}"}}\''
    )
    configure({key: "fake" if key == "credsStore" else {HOST: "fake"}})
    assert find_credentials(HOST) == Credentials("some", WORD)


def test_helper_may_return_an_identity_token_or_nothing(configure, helper):
    configure({"credsStore": "fake"})
    helper(f'echo \'{{"Username": "<token>", "Secret": "{WORD}"}}\'')
    assert find_credentials(HOST) == Credentials("", "", WORD)
    helper("echo credentials not found in native keychain; exit 1")
    assert find_credentials(HOST) is None


@pytest.mark.parametrize(
    "script", [f"echo {WORD}; exit 1", f"echo {WORD}", f"echo '[\"{WORD}\"]'", "true"]
)
def test_failing_helper_is_reported_without_its_output(configure, helper, script):
    configure({"credsStore": "fake"})
    helper(script)
    with pytest.raises(ConfigurationError) as caught:
        find_credentials(HOST)
    assert WORD not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


@pytest.mark.parametrize("name", ["gone", "../fake", "a b", "x;y"])
def test_unusable_helper_is_an_error(configure, helper, name):
    helper("true")
    configure({"credsStore": name})
    with pytest.raises(ConfigurationError):
        find_credentials(HOST)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        {"auths": [7]},
        {"auths": {HOST: WORD}},
        {"auths": {HOST: {"auth": f"{WORD}="}}},
        {"auths": {HOST: {"auth": encoded("a:b") + "x"}}},
    ],
)
def test_invalid_file_is_reported_without_its_content(configure, document):
    configure(document)
    with pytest.raises(ConfigurationError) as caught:
        find_credentials(HOST)
    assert WORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_repr_shows_no_secret():
    assert WORD not in repr(Credentials("some", WORD, WORD))
