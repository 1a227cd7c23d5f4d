"""Regular expressions of a package, collected mechanically, and hostile texts for each.

A new pattern is found without a word in a test: compiled patterns by walking the modules, patterns
in calls such as `re.sub("...", ...)` by walking the source.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

Text = Any  # str or bytes
METHODS = ("search", "match", "fullmatch", "findall", "finditer", "sub", "split")
_CANDIDATES = "a0 A-_./:=\n\"'!@\t$Zé"


@dataclass(frozen=True)
class Pattern:
    """A regular expression, its place, and the methods that the code calls on it."""

    place: str  # such as imageproof.redaction._SECRET_NAME
    compiled: re.Pattern[Any]
    methods: tuple[str, ...]

    def run(self, text: Text) -> None:
        """Call each method on a text."""
        for method in self.methods:
            function = getattr(self.compiled, method)
            result = function(text[:0], text) if method == "sub" else function(text)
            for _ in result if method == "finditer" else ():
                pass


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Yield all modules of a package."""
    yield package
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def compiled_patterns(package: ModuleType) -> Iterator[Pattern]:
    """Yield the patterns in the variables of all modules, in tables and dataclasses too."""
    for module in modules_of(package):
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            if not re.search(rf"^{re.escape(name)}\b[^\n=]*=", source, re.MULTILINE):
                continue  # imported from another module
            called = re.findall(rf"\b{re.escape(name)}\.({'|'.join(METHODS)})\b", source)
            methods = tuple(dict.fromkeys(called)) or ("search",)
            for pattern in dict.fromkeys(_patterns_in(value)):
                yield Pattern(f"{module.__name__}.{name}", pattern, methods)


def _patterns_in(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _patterns_in(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _patterns_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _patterns_in(getattr(value, field.name))


def called_patterns(package: ModuleType) -> tuple[list[Pattern], set[str]]:
    """Return the patterns in calls of `re`, and the places of calls whose pattern is computed."""
    patterns, computed = [], set()
    for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
        name = str(path.relative_to(Path(str(package.__file__)).parents[1]))
        for call, caller in _calls(ast.parse(path.read_text())):
            function = ast.unparse(call.func)
            methods = (*METHODS, "compile") if caller else METHODS
            if not function.startswith("re.") or function[3:] not in methods or not call.args:
                continue
            try:
                text = ast.literal_eval(call.args[0])
            except ValueError:
                computed.add(f"{name}: {caller}")
                continue
            flags = [ast.unparse(a) for a in (*call.args, *(k.value for k in call.keywords))]
            flag = next(
                (f for f in flags if re.fullmatch(r"re\.[A-Z]+(?: \| re\.[A-Z]+)*", f)), "0"
            )
            compiled = re.compile(text, eval(flag))  # `re.MULTILINE` and the like
            method = "search" if function == "re.compile" else function[3:]
            patterns.append(Pattern(f"{name}:{call.lineno}", compiled, (method,)))
    return patterns, computed


def _calls(node: ast.AST, function: str = "") -> Iterator[tuple[ast.Call, str]]:
    """Yield each call with its function; "" for a call at import."""
    if isinstance(node, ast.Call):
        yield node, function
    if isinstance(node, ast.FunctionDef):
        function = node.name
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, function)


def hostile_texts(pattern: re.Pattern[Any]) -> Iterator[Callable[[int], Text]]:
    """Yield functions that make texts of a size: a begun match, and a part of it repeated."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    texts = dict.fromkeys(("", part) for part in _prefixes(tree))
    texts |= dict.fromkeys(_repeats(tree, ""))
    for before, part in texts:
        for after in ("", "\0"):
            if part:
                yield partial(_make, before, part, after, isinstance(pattern.pattern, bytes))


def _make(before: str, part: str, after: str, as_bytes: bool, size: int) -> Text:
    text = before + part * max(1, size // len(part)) + after
    return text.encode("latin-1", "ignore") if as_bytes else text


def _prefixes(tree: Any) -> Iterator[str]:
    """Yield a text for each beginning of the pattern."""
    text = ""
    for node in tree:
        text += _sample(node)
        yield text


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before each repetition, and a text of its body."""
    for operator, value in tree:
        name = str(operator)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, highest, body = value
            if highest > 1:
                sample = "".join(map(_sample, body))
                yield before, sample
                yield "", before + sample
            yield from _repeats(body, before)
        elif name == "SUBPATTERN":
            yield from _repeats(value[-1], before)
        elif name == "ATOMIC_GROUP":
            yield from _repeats(value, before)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _repeats(branch, before)
                yield "", before + "".join(map(_sample, branch))
        elif name in ("ASSERT", "ASSERT_NOT"):  # looks ahead: the cost of a place, not of a match
            yield from _repeats(value[1], before)
        before += _sample((operator, value))


def _sample(node: Any) -> str:
    """Return a short text that the node matches; "" for positions and assertions."""
    operator, value = node
    name = str(operator)
    bodies = {"SUBPATTERN": lambda: value[-1], "ATOMIC_GROUP": lambda: value}
    if name == "LITERAL":
        return chr(value)
    if name in ("ANY", "NOT_LITERAL", "IN", "CATEGORY"):
        return "x" if name == "ANY" else _one_of(name, value)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        lowest, highest, body = value
        return "".join(map(_sample, body)) * min(max(lowest, 1), highest, 100)
    body = value[1][0] if name == "BRANCH" else bodies.get(name, tuple)()
    return "".join(map(_sample, body))


def _one_of(name: str, value: Any) -> str:
    """Return a character of a set."""
    items = [(name, value)] if name != "IN" else [(str(o), v) for o, v in value]
    negated = any(o == "NEGATE" for o, _ in items) or name == "NOT_LITERAL"
    for character in _CANDIDATES + "".join(map(chr, range(33, 127))) + "\0":
        if any(_contains(o, v, character) for o, v in items) is not negated:
            return character
    return "x"


def _contains(operator: str, value: Any, character: str) -> bool:
    code = ord(character)
    if operator in ("LITERAL", "NOT_LITERAL"):
        return code == value
    if operator == "RANGE":
        return bool(value[0] <= code <= value[1])
    if operator == "CATEGORY":
        kinds = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
        kind = str(value).removeprefix("CATEGORY_").removeprefix("UNI_")
        found = re.match(kinds[kind.removeprefix("NOT_")], character)
        return bool(found) is not kind.startswith("NOT_")
    return False
