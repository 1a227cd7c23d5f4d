"""Patterns of secrets, and their redaction in text that is shown."""

from __future__ import annotations

import re

# Variable names of secrets ...
_SECRET_NAME = re.compile(
    r"(?:PASSWORD|PASSWD|(?:^|_)(?:PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|AUTH"
    r"|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION)_?KEY))(?:$|_)",
    re.IGNORECASE,
)
# ... and the ends of names of places, such as TOKEN_URL or PASSWORD_FILE.
_PLACE_NAME = re.compile(r"_(?:FILE|PATH|DIR|URL|URI|HEADER|NAME|SOCK|TTL)$", re.IGNORECASE)
_WORD = re.compile(r"\w*")
# Regular expressions of formats that only secrets have, by kind of secret.
SECRET_FORMATS = {
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
_ANY_FORMAT = re.compile("|".join(SECRET_FORMATS.values()))
# name=value, name="value", name='value'
_ASSIGNMENT = re.compile(r"\b(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;]+)")
REDACTED = "***"


def is_secret(name: str, value: str) -> bool:
    """Return whether a variable's name or value looks like a secret; an empty value never does."""
    unquoted = value.strip("\"' ")
    if not unquoted or unquoted.startswith("$"):  # $NAME, ${NAME} and $(command) are no values
        return False
    return _is_secret_name(name) or bool(_ANY_FORMAT.search(value))


def _is_secret_name(name: str) -> bool:
    if _PLACE_NAME.search(name):  # what stands before its last word can still be a secret's name
        last_word = _WORD.match(name[::-1])
        name = name[: len(name) - len(last_word[0])] if last_word else name
    return bool(_SECRET_NAME.search(name))


def contains_secret(text: str) -> bool:
    """Return whether the text contains a format that only secrets have."""
    return bool(_ANY_FORMAT.search(text))


def assigned_secrets(text: str) -> list[str]:
    """Return the names of the variables that the text assigns a secret to, each once."""
    names = (m["name"] for m in _ASSIGNMENT.finditer(text) if is_secret(m["name"], m["value"]))
    return list(dict.fromkeys(names))


def redact(text: str) -> str:
    """Return the text with each secret replaced by `***`."""

    def replace(match: re.Match[str]) -> str:
        if is_secret(match["name"], match["value"]):
            return f"{match['name']}={REDACTED}"
        return match[0]

    return _ANY_FORMAT.sub(REDACTED, _ASSIGNMENT.sub(replace, text))
