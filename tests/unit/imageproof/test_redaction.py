"""Patterns of secrets and their redaction."""

from __future__ import annotations

import pytest

from imageproof.redaction import REDACTED, assigned_secrets, contains_secret, is_secret, redact

X = "x" * 60
# One example of each format, put together here so that no scanner reports this file.
EXAMPLES = {
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


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))
def test_secret_is_recognized_by_format(example):
    assert is_secret("PLAIN", example)
    assert contains_secret(f"RUN curl -H 'x: {example}' there")
    assert example not in redact(f"RUN curl -H 'x: {example}' there")


@pytest.mark.parametrize(
    "name",
    [
        *("PASSWORD", "DB_PASSWORD", "db_passwd", "SSH_PASSPHRASE", "SECRET", "CLIENT_SECRET"),
        *("API_TOKEN", "TOKEN", "Api_Token", "TOKEN_V2", "CREDENTIALS", "NPM_AUTH"),
        *("API_KEY", "APIKEY", "AWS_SECRET_ACCESS_KEY", "PRIVATE_KEY", "SIGNING_KEY"),
    ],
)
def test_secret_is_recognized_by_variable_name(name):
    assert is_secret(name, "swordfish")
    assert redact(f"RUN |1 {name}=swordfish make") == f"RUN |1 {name}={REDACTED} make"
    assert assigned_secrets(f"ARG {name}=swordfish") == [name]


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
def test_near_misses_are_not_secrets(name, value):
    assert not is_secret(name, value)
    assert assigned_secrets(f"ARG {name}={value}") == []
    assert redact(f"ARG {name}={value}") == f"ARG {name}={value}"


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_quoted_secret_is_redacted(quote):
    line = f"RUN API_TOKEN={quote}swordfish{quote}; make"
    assert redact(line) == f"RUN API_TOKEN={REDACTED}; make"


def test_only_secrets_of_a_line_are_redacted():
    line = f"RUN |3 A=1 API_TOKEN=swordfish B_SECRET='two words' curl {EXAMPLES['url']}x"
    assert (
        redact(line)
        == f"RUN |3 A=1 API_TOKEN={REDACTED} B_SECRET={REDACTED} curl https{REDACTED}shop.invalid/x"
    )


def test_assigned_names_are_listed_once_in_order():
    assert assigned_secrets("RUN B_TOKEN=x A_TOKEN=y B_TOKEN=z C=1") == ["B_TOKEN", "A_TOKEN"]
