"""imageproof.registry.credentials: as docker's own client finds them, and never shown."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from imageproof.errors import ConfigurationError
from imageproof.registry.credentials import Credentials, find

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
    """A credential helper called `kept` that does what it is told."""

    def make(script: str) -> None:
        path = tmp_path / "bin/docker-credential-kept"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return make


def test_who_is_not_logged_in_has_none(configure):
    assert find(HOST) is None
    configure({})
    assert find(HOST) is None
    configure({"auths": {"other.test": {"auth": encoded(f"a:{WORD}")}, HOST: {}}})
    assert find(HOST) is None


@pytest.mark.parametrize("name", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"{HOST}/"])
def test_an_entry_is_found_by_its_host(configure, name):
    configure({"auths": {name: {"auth": encoded(f"some:{WORD}:more")}}})
    assert find(HOST) == Credentials("some", f"{WORD}:more")


def test_an_identity_token_takes_the_place_of_a_password(configure):
    configure({"auths": {HOST: {"auth": encoded("some:"), "identitytoken": WORD}}})
    assert find(HOST) == Credentials("some", "", WORD)


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_helper_is_asked_for_the_host(configure, helper, key):
    helper(
        'test "$1" = get && test "$(cat)" = registry.test:5000 && '
        f'echo \'{{"Username": "some", "Secret": "{WORD}"}}\''
    )
    configure({key: "kept" if key == "credsStore" else {HOST: "kept"}})
    assert find(HOST) == Credentials("some", WORD)


def test_a_helper_may_give_an_identity_token_or_have_none(configure, helper):
    configure({"credsStore": "kept"})
    helper(f'echo \'{{"Username": "<token>", "Secret": "{WORD}"}}\'')
    assert find(HOST) == Credentials("", "", WORD)
    helper("echo credentials not found in native keychain; exit 1")
    assert find(HOST) is None


@pytest.mark.parametrize(
    "script", [f"echo {WORD}; exit 1", f"echo {WORD}", f"echo '[\"{WORD}\"]'", "true"]
)
def test_a_helper_that_fails_is_told_without_what_it_said(configure, helper, script):
    configure({"credsStore": "kept"})
    helper(script)
    with pytest.raises(ConfigurationError) as caught:
        find(HOST)
    assert WORD not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


@pytest.mark.parametrize("name", ["gone", "../kept", "a b", "x;y"])
def test_a_helper_that_is_none_is_an_error(configure, helper, name):
    helper("true")
    configure({"credsStore": name})
    with pytest.raises(ConfigurationError):
        find(HOST)


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
def test_a_file_that_is_none_is_told_without_what_is_in_it(configure, document):
    configure(document)
    with pytest.raises(ConfigurationError) as caught:
        find(HOST)
    assert WORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_secret_is_in_what_python_shows():
    assert WORD not in repr(Credentials("some", WORD, WORD))
