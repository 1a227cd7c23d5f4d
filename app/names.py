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
PACKAGE_NAME_SCHEMA = {
    "type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": f"^{_NAME.pattern}$",
}  # fmt: skip
VERSION_SCHEMA = {
    "type": "string", "minLength": 1, "maxLength": MAX_VERSION, "pattern": f"^{_VERSION.pattern}$",
}  # fmt: skip


def package_name(value: str) -> str:
    """The name; raises ValueError where npm would not take it."""
    if len(value) > MAX_NAME:
        raise ValueError(f"a package's name has at most {MAX_NAME} characters")
    if not _NAME.fullmatch(value):
        raise ValueError("it is no name of an npm package")
    return value


def version(value: str) -> str:
    """The version, range or tag; raises ValueError where it is none."""
    if len(value) > MAX_VERSION:
        raise ValueError(f"a version has at most {MAX_VERSION} characters")
    if not _VERSION.fullmatch(value):
        raise ValueError("it is no version, range or tag")
    return value
