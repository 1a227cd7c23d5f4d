"""What a secret looks like, and striking it out of what is shown."""

from __future__ import annotations

import re

# A name that says "secret"; names of places, such as TOKEN_URL or PASSWORD_FILE, are not meant.
_NAME = re.compile(
    r"(?:PASSWORD|PASSWD|(?:^|_)(?:PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|AUTH"
    r"|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION)_?KEY))"
    r"(?:$|_(?!(?:\w*_)?(?:FILE|PATH|DIR|URL|URI|HEADER|NAME|SOCK|TTL)$))",
    re.IGNORECASE,
)
# Shapes that only secrets have.
SHAPES = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{30,}",
    "PyPI token": r"\bpypi-[A-Za-z0-9_-]{40,}",
    "Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "LLM provider key": r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}",
    "JSON web token": r"(?<![\w-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}",
    "Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "password in a URL": r"://[^/\s:@$]+:[^/\s@$]+@",
}
_SHAPE = re.compile("|".join(SHAPES.values()))
# name=value, name="value", name='value'
_ASSIGNMENT = re.compile(r"\b(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;]+)")
STRUCK = "***"


def is_secret(name: str, value: str) -> bool:
    """Whether a variable of that name and value holds what looks like a secret."""
    plain = value.strip("\"' ")
    if not plain or plain.startswith("$"):
        return False
    return bool(_NAME.search(name) or _SHAPE.search(value))


def has_shape(text: str) -> bool:
    """Whether something in the text has a shape that only secrets have."""
    return bool(_SHAPE.search(text))


def assigned(text: str) -> list[str]:
    """The names in the text that are given what looks like a secret, each once."""
    found = (m["name"] for m in _ASSIGNMENT.finditer(text) if is_secret(m["name"], m["value"]))
    return list(dict.fromkeys(found))


def redact(text: str) -> str:
    """The text with everything struck out that looks like a secret."""

    def strike(match: re.Match[str]) -> str:
        if is_secret(match["name"], match["value"]):
            return f"{match['name']}={STRUCK}"
        return match[0]

    return _SHAPE.sub(STRUCK, _ASSIGNMENT.sub(strike, text))
