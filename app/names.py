"""What npm takes for a package's name and for a version."""

import re

MAX_NAME = 214
MAX_VERSION = 256
# validate-npm-package-name: what is safe in a URL; a scope and a name do not begin with a dot or an
# underscore. Capital letters are in names that are older than the rule against them (JSONStream).
_PART = r"[A-Za-z0-9~-][A-Za-z0-9._~-]*"
_NAME = re.compile(rf"(?:@{_PART}/)?{_PART}")
_RESERVED = frozenset({"node_modules", "favicon.ico"})
# A version, a range or a tag (node-semver, npm-package-arg); nothing that npm would take for an
# address, a path, an alias or an option.
_VERSION = re.compile(r"[A-Za-z0-9^~<>=*][A-Za-z0-9.^~<>=*+| -]*")


def package_name(value: str) -> str:
    """The name; raises ValueError where npm would not take it."""
    if len(value) > MAX_NAME:
        raise ValueError(f"a package's name has at most {MAX_NAME} characters")
    if not _NAME.fullmatch(value) or value.lower() in _RESERVED or value.startswith("-"):
        raise ValueError("it is no name of an npm package")
    return value


def version(value: str) -> str:
    """The version, range or tag; raises ValueError where it is none."""
    if len(value) > MAX_VERSION:
        raise ValueError(f"a version has at most {MAX_VERSION} characters")
    if not _VERSION.fullmatch(value):
        raise ValueError("it is no version, range or tag")
    return value
