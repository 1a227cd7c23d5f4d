"""Patterns of a .dockerignore file, which the `develop` sections of a compose file use too."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cached_property

from imageproof.errors import ConfigurationError


class IgnorePatterns:
    """Patterns in their order: the last one that matches a path, or a folder above it, decides."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Read the lines of a .dockerignore file. Raises ConfigurationError."""
        self._patterns: list[tuple[re.Pattern[str], bool]] = []
        for line in map(str.strip, lines):
            pattern = line.removeprefix("!").strip()
            if line.startswith("#") or not pattern:
                continue
            expression = _compile(posixpath.normpath(pattern.lstrip("/")))
            self._patterns.append((expression, not line.startswith("!")))

    @cached_property
    def _has_exceptions(self) -> bool:
        return not all(ignores for _, ignores in self._patterns)

    def match(self, path: str) -> bool:
        """Return whether a relative path is ignored."""
        names = path.split("/")
        paths = ["/".join(names[: length + 1]) for length in range(len(names))]
        ignored = False
        for pattern, ignores in self._patterns:
            if ignored is not ignores and any(map(pattern.fullmatch, paths)):
                ignored = ignores
        return ignored

    def match_whole_folder(self, path: str) -> bool:
        """Return whether a folder is ignored, and no exception can concern a file below it."""
        return not self._has_exceptions and self.match(path)


def _compile(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern, with the syntax of Docker's patternmatcher."""
    words = re.findall(r"\*\*/|\*+|\?|\\.|\[\^?[^\]]{1,99}\]|.", pattern)
    try:
        return re.compile("".join(map(_expression, words)))
    except re.error as error:
        raise ConfigurationError(
            "reading the patterns of ignored files",
            f"{pattern!r} is not a valid pattern: {error}",
            hint="correct it in .dockerignore, or in the `develop` section",
        ) from error


def _expression(word: str) -> str:
    fixed = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    if word in fixed:
        return fixed[word]
    if word.startswith("**"):
        return ".*"
    if word.startswith("[") and len(word) > 1:
        return word
    return re.escape(word[-1])
