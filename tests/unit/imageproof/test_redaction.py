"""imageproof.redaction: what a secret looks like, and that it is struck out of what is shown."""

from __future__ import annotations

import pytest

from imageproof.redaction import STRUCK, assigned, has_shape, is_secret, redact

X = "x" * 60
# name of a kind: something of its shape, put together here so that no scanner takes it for one
SHAPES = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "aws": "AKIA" + "Q" * 16,
    "github": "ghp_" + X[:36],
    "github fine": "github_pat_" + X[:40],
    "gitlab": "glpat-" + X[:20],
    "npm": "npm_" + X[:36],
    "pypi": "pypi-" + X[:50],
    "slack": "xoxb-" + X[:12],
    "llm": "sk-" + X[:32],
    "jwt": "eyJ" + X[:12] + "." + X[:12] + "." + X[:8],
    "google": "AIza" + X[:35],
    "url": "https://me:" + "pw" + "@shop.invalid/",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_a_secret_is_known_by_its_shape_whatever_its_name(shape):
    assert is_secret("PLAIN", shape)
    assert has_shape(f"RUN curl -H 'x: {shape}' there")
    assert shape not in redact(f"RUN curl -H 'x: {shape}' there")


@pytest.mark.parametrize(
    "name",
    [
        *("PASSWORD", "DB_PASSWORD", "db_passwd", "SSH_PASSPHRASE", "SECRET", "CLIENT_SECRET"),
        *("API_TOKEN", "TOKEN", "Api_Token", "TOKEN_V2", "CREDENTIALS", "NPM_AUTH"),
        *("API_KEY", "APIKEY", "AWS_SECRET_ACCESS_KEY", "PRIVATE_KEY", "SIGNING_KEY"),
    ],
)
def test_a_secret_is_known_by_its_name_whatever_its_shape(name):
    assert is_secret(name, "swordfish")
    assert redact(f"RUN |1 {name}=swordfish make") == f"RUN |1 {name}={STRUCK} make"
    assert assigned(f"ARG {name}=swordfish") == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("PATH", "/usr/local/bin:/usr/bin"),
        ("TOKEN_URL", "https://shop.invalid/token"),
        ("PASSWORD_FILE", "/run/secrets/password"),
        ("SECRET_PATH", "/run/secrets"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("AUTHOR", "somebody"),
        ("MONKEY", "banana"),
        ("KEYBOARD", "de"),
        ("API_TOKEN", ""),
        ("API_TOKEN", '""'),
        ("API_TOKEN", "' '"),
        ("API_TOKEN", "$TOKEN"),
        ("API_TOKEN", '"${TOKEN}"'),
        ("API_TOKEN", "$(cat /run/secrets/token)"),
        ("INDEX", "https://shop.invalid/simple"),
        ("INDEX", "https://me@shop.invalid/simple"),
        ("INDEX", "https://$USER:$PASS@shop.invalid/"),
        ("ADDRESS", "https://shop.invalid:8080/a@b"),
        ("NAME", "task-" + X),
        ("NAME", "ghp_short"),
        ("NAME", "AKIA" + "Q" * 15),
    ],
)
def test_what_only_resembles_a_secret_is_none(name, value):
    assert not is_secret(name, value)
    assert assigned(f"ARG {name}={value}") == []
    assert redact(f"ARG {name}={value}") == f"ARG {name}={value}"


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_quotes_hide_nothing(quote):
    line = f"RUN API_TOKEN={quote}swordfish{quote}; make"
    assert redact(line) == f"RUN API_TOKEN={STRUCK}; make"


def test_every_secret_of_a_line_is_struck_and_the_rest_is_left():
    line = f"RUN |3 A=1 API_TOKEN=swordfish B_SECRET='two words' curl {SHAPES['url']}x"
    assert (
        redact(line)
        == f"RUN |3 A=1 API_TOKEN={STRUCK} B_SECRET={STRUCK} curl https{STRUCK}shop.invalid/x"
    )


def test_each_name_is_told_once_in_the_order_of_the_line():
    assert assigned("RUN B_TOKEN=x A_TOKEN=y B_TOKEN=z C=1") == ["B_TOKEN", "A_TOKEN"]
