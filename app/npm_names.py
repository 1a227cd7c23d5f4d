"""What npm takes for a package's name and for a version."""

import re

MAX_NAME = 214
MAX_VERSION = 256
# validate-npm-package-name: what is safe in a URL; a scope and a name do not begin with a dot or an
# underscore, and here not with what could be an option. Capital letters are in names that are older
# than the rule against them (JSONStream).
_PART = r"[A-Za-z0-9~][A-Za-z0-9._~-]*"
_RESERVED = r"(?![Nn][Oo][Dd][Ee]_[Mm][Oo][Dd][Uu][Ll][Ee][Ss]$|[Ff][Aa][Vv][Ii][Cc][Oo][Nn]\.ico$)"
_NAME = re.compile(rf"{_RESERVED}(?:@{_PART}/)?{_PART}")
# A version, a range or a tag (node-semver, npm-package-arg); nothing that npm would take for an
# address, a path, an alias or an option.
_VERSION = re.compile(r"[A-Za-z0-9^~<>=*][A-Za-z0-9.^~<>=*+| -]*")
PACKAGE_NAME_SCHEMA = {"type": "string", "maxLength": MAX_NAME, "pattern": f"^{_NAME.pattern}$"}
VERSION_SCHEMA = {"type": "string", "maxLength": MAX_VERSION, "pattern": f"^{_VERSION.pattern}$"}


def package_name(value: str) -> str:
    """The name; raises ValueError where npm would not take it."""
    return _checked(value, _NAME, MAX_NAME, "name of an npm package")


def version(value: str) -> str:
    """The version, range or tag; raises ValueError where it is none."""
    return _checked(value, _VERSION, MAX_VERSION, "version, range or tag")


def _checked(value: str, pattern: re.Pattern[str], most: int, what: str) -> str:
    if len(value) > most:
        raise ValueError(f"a {what} has at most {most} characters")
    if not pattern.fullmatch(value):
        raise ValueError(f"it is no {what}")
    return value
