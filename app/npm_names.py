"""Validation of npm package names and versions."""

import re

MAX_NAME_CHARS = 214
MAX_VERSION_CHARS = 256
# Rules of validate-npm-package-name: URL-safe characters; no dot or underscore at the start of a
# scope or name. A dash at the start is invalid too: npm could read it as an option. Capital letters
# are valid, because some old names have them (JSONStream).
_PART = r"[A-Za-z0-9~][A-Za-z0-9._~-]*"
_RESERVED = r"(?![Nn][Oo][Dd][Ee]_[Mm][Oo][Dd][Uu][Ll][Ee][Ss]$|[Ff][Aa][Vv][Ii][Cc][Oo][Nn]\.ico$)"
_NAME = re.compile(rf"{_RESERVED}(?:@{_PART}/)?{_PART}")
# A version, range or tag (node-semver, npm-package-arg), but no URL, path, alias or option.
_VERSION = re.compile(r"[A-Za-z0-9^~<>=*][A-Za-z0-9.^~<>=*+| -]*")
# A version that names one release for ever: SemVer 2.0.0, with numbers that npm can represent.
_NUMBER = r"(?:0|[1-9][0-9]{0,14})"
_EXACT = re.compile(
    rf"[v=]?(?P<release>{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
PACKAGE_NAME_SCHEMA = {
    "type": "string",
    "maxLength": MAX_NAME_CHARS,
    "pattern": f"^{_NAME.pattern}$",
}
VERSION_SCHEMA = {
    "type": "string",
    "maxLength": MAX_VERSION_CHARS,
    "pattern": f"^{_VERSION.pattern}$",
}


def package_name(value: str) -> str:
    """Return the package name; raise ValueError if npm would reject it."""
    return _validate(value, _NAME, MAX_NAME_CHARS, "npm package name")


def version(value: str) -> str:
    """Return the version, range or tag; raise ValueError if it is invalid."""
    return _validate(value, _VERSION, MAX_VERSION_CHARS, "version, range or tag")


def exact_version(value: str) -> str | None:
    """Return the release that an exact version names, or None for a range or tag.

    Ranges and tags may name another release tomorrow. Build metadata do not matter to npm.
    """
    match = _EXACT.fullmatch(value)
    return match["release"] if match else None


def _validate(value: str, pattern: re.Pattern[str], max_chars: int, kind: str) -> str:
    if len(value) > max_chars:
        raise ValueError(f"{kind} is longer than {max_chars} characters")
    if not pattern.fullmatch(value):
        raise ValueError(f"invalid {kind}")
    return value
