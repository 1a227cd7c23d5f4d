"""Growth of every regular expression and parser of imageproof on hostile text.

Patterns are collected mechanically, and hostile texts are derived from each, so that a new pattern
is tested without a line here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import imageproof
from imageproof.build.progress import parse_messages
from imageproof.contract import load
from imageproof.docker.errors import translate
from imageproof.errors import ImageproofError
from imageproof.image.accounts import Accounts
from imageproof.image.config import clean_instruction, facts_from_config, history_from_config
from imageproof.image.facts import ImageFacts, Layer
from imageproof.image.layers import read_layer
from imageproof.image.package_owners import package_owners
from imageproof.image.packages import read_packages
from imageproof.image.secret_candidates import FileScan
from imageproof.image.tar import printable
from imageproof.project.env_vars import read_env_example
from imageproof.project.lock_files import parse_npm_lock, parse_python_lock
from imageproof.redaction import assigned_secrets, is_secret, redact
from imageproof.registry.authorization import _PARAMETER
from imageproof.registry.reference import parse_reference
from imageproof.terminal_text import clean_lines
from tests.support import growth
from tests.support.archives import member, tar
from tests.support.growth import assert_linear
from tests.support.patterns import Pattern, called_patterns, compiled_patterns, hostile_texts

SIZE = 1 << 15
"""Characters of a hostile text: a quadratic pattern takes 50 ms or more, a linear one 1 ms."""
CHEAP_SECONDS = 0.01
# Functions that compute a pattern, and why its cost is bounded.
COMPUTED = {
    "imageproof/checks/content/package_managers.py: _manager": "found in the table MANAGERS",
    "imageproof/docker/known_errors.py: _known": "found in the table KNOWN_ERRORS",
    "imageproof/docker/registry_errors.py: _reason": "found in the table _REASONS",
    "imageproof/checks/run/programs.py: programs": "the contract's own; one bounded line",
    "imageproof/checks/run/smoke.py: smoke": "the contract's own; bounded lines",
    "imageproof/contract/models.py: _require_pattern": "the contract's own; not searched there",
    "imageproof/deep/canary.py: __init__": "texts without repeats",
    "imageproof/project/ignore_patterns.py: _compile": "the project's own",
    "imageproof/project/update_settings.py: _find_key": "one line of the project's own file",
    "imageproof/project/update_settings.py: _reachable": "one word",
    "imageproof/report/sarif.py: _definition_line": "one line of the project's own file",
    "imageproof/report/sarif.py: _instruction_line": "one word",
}
_called, _computed = called_patterns(imageproof)
PATTERNS = [*compiled_patterns(imageproof), *_called]


def test_patterns_are_found():
    places = {pattern.place for pattern in PATTERNS}
    assert {
        "imageproof.redaction._SECRET_NAME",
        "imageproof.image.secret_candidates._NAME_RULES",
        "imageproof.docker.known_errors.KNOWN_ERRORS",
        "imageproof.checks.content.package_managers.MANAGERS",
    } <= places
    assert len(PATTERNS) > 100


def test_no_other_function_computes_a_pattern():
    assert _computed == COMPUTED.keys()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.place)
def test_every_pattern_takes_linear_time(pattern: Pattern):
    for make in hostile_texts(pattern.compiled):
        if growth._seconds(make(SIZE), pattern.run) > CHEAP_SECONDS:
            assert_linear(make, pattern.run, max_size=SIZE)


# --- parsers, whose cost is not that of their patterns alone


def _layer(names: Iterable[str], **fields: Any) -> bytes:
    return tar({str(number): member(name, **fields) for number, name in enumerate(names)})


def _read(content: bytes) -> object:
    return read_layer(iter([content]))


def _pax(size: int) -> bytes:
    """Return entries with headers of nearly the largest size."""
    headers = {f"SCHILY.xattr.user.{number}": "x" for number in range(1000)}
    return _layer(["x"] * (size // 1000), pax_headers=headers)


def _scan(content: str) -> Callable[[int], bytes]:
    return lambda size: (content * max(1, size // len(content))).encode()


def _search(path: str) -> Callable[[bytes], object]:
    def run(content: bytes) -> object:
        scan = FileScan(path)
        scan.feed(content)
        return list(scan.candidates())

    return run


def _owners(size: int) -> ImageFacts:
    """Return facts of a hostile dpkg status: one package many times, with many files."""
    files = "".join(f"/x{number}\n" for number in range(size)).encode()
    records = {
        "var/lib/dpkg/status": b"Package: a\n\n" * size,
        "var/lib/dpkg/info/a.list": files,
    }
    layer = Layer("sha256:a", 1, (), packages=tuple(read_packages(records)))
    return ImageFacts("a", "a", layers=(layer,))


def _accounts(content: str) -> Callable[[int], Accounts]:
    return lambda size: Accounts(content * size, content * size, content * size)


def _use_accounts(accounts: Accounts) -> None:
    accounts.run_as("nobody:nobody")
    accounts.run_as("7")
    list(accounts.without_password())


def _config(size: int) -> dict[str, Any]:
    names = [f"A{number}=TOKEN_URL" for number in range(size)]
    return {
        "config": {"Env": names, "Labels": dict.fromkeys(names, "x"), "Cmd": names},
        "history": [{"created_by": name, "empty_layer": True} for name in names],
    }


def _read_config(document: Any) -> None:
    facts_from_config("a", "b", document, history_from_config(document, 0).instructions, ())


def _repeat(text: str) -> Callable[[int], str]:
    return lambda size: text * max(1, size // len(text))


def _records(path: str, text: str) -> Callable[[int], dict[str, bytes]]:
    return lambda size: {path: (text * max(1, size // len(text))).encode()}


def _npm_lock(size: int) -> str:
    packages = {f"node_modules/a{number}": {"version": "1"} for number in range(size)}
    return json.dumps({"packages": packages})


def _read_progress(lines: list[str]) -> None:
    list(parse_messages(lines, []))


def _ignore_errors(run: Callable[[Any], object]) -> Callable[[Any], object]:
    def ignoring(value: Any) -> None:
        with contextlib.suppress(ImageproofError, ValueError):
            run(value)

    return ignoring


KEY = "-----BEGIN PRIVATE" + " KEY-----"
METADATA = "x/site-packages/a.dist-info/METADATA"
PARSERS: dict[str, tuple[Callable[[int], Any], Callable[[Any], object]]] = {
    "name of a place": (lambda n: "PASSWORD_a" * n + "_FILE", lambda name: is_secret(name, "x")),
    "name of a secret": (_repeat("TOKEN_"), lambda name: is_secret(name, "x")),
    "value": (_repeat("://a:"), lambda value: is_secret("a", value)),
    "assignments": (_repeat("TOKEN=a "), redact),
    "unclosed assignment": (_repeat('A="'), redact),
    "names": (_repeat("TOKEN=a;"), assigned_secrets),
    "instruction": (_repeat("|1 A=b "), clean_instruction),
    "terminal": (_repeat("\x1b["), clean_lines),
    "lines": (_repeat("a\n"), clean_lines),
    "control characters": (_repeat("\x01"), printable),
    "surrogates": (_repeat("\ud800"), printable),
    "docker's errors": (
        _repeat("failed to read services.a 127.0.0.1:"),
        lambda t: translate("", t),
    ),
    "keys": (_scan(f"{KEY}\n"), _search("a")),
    "keys in headers of keys": (_scan(f"a: {KEY}\n"), _search("a")),
    "keys in long headers": (_scan(f"a: {'x' * 90}{KEY}\n"), _search("a")),
    "keys on one line": (_scan(f"{KEY}\\n"), _search("a")),
    "tokens": (_scan("eyJAAAAAAAAAA."), _search("a")),
    "addresses": (_scan("://a:b"), _search("etc/a")),
    "environment file": (_scan("export A= "), _search(".env")),
    "accounts": (_accounts("a:x:1:1:::\n"), _use_accounts),
    "accounts on one line": (_accounts(":"), _use_accounts),
    "packages": (_owners, package_owners),
    "dpkg fields": (_records("var/lib/dpkg/status", "a:\n \n"), read_packages),
    "dpkg paragraphs": (_records("var/lib/dpkg/status", "Package: a\n\n"), read_packages),
    "apk": (_records("lib/apk/db/installed", "P:a\nF:b\nR:c\n\n"), read_packages),
    "metadata": (_records(METADATA, "Name: a\n"), read_packages),
    "record": (
        lambda n: {METADATA: b"Name: a", METADATA[:-8] + "RECORD": b"a/../,,\n" * n},
        read_packages,
    ),
    "record on one line": (
        lambda n: {METADATA: b"Name: a", METADATA[:-8] + "RECORD": b'"a' * n},
        read_packages,
    ),
    "package.json": (_records("node_modules/a/package.json", '{"name":'), read_packages),
    "tar entries": (lambda n: _layer(f"a{i}" for i in range(n // 500)), _read),
    "one path many times": (lambda n: _layer(["a"] * (n // 500)), _read),
    "headers": (_pax, _read),
    "configuration": (lambda n: _config(n // 10), _read_config),
    "progress": (
        lambda n: ['{"a": [{}\n', *([",{}\n"] * n)],
        lambda x: list(parse_messages(x, [])),
    ),
    "progress as text": (lambda n: ["{ }}\n"] * n, lambda lines: list(parse_messages(lines, []))),
    "python lock": (_repeat("a==1 \\\n"), lambda text: parse_python_lock(text, "key")),
    "python lock on one line": (_repeat("a["), lambda text: parse_python_lock(text, "key")),
    "npm lock": (lambda n: _npm_lock(n // 10), lambda text: parse_npm_lock(text, "key")),
    "challenge": (_repeat('a="'), _PARAMETER.findall),
    "reference": (_repeat("a."), parse_reference),
    "path of a reference": (_repeat("a.a/a__"), parse_reference),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", PARSERS)
def test_every_parser_takes_linear_time(name):
    make, run = PARSERS[name]
    assert_linear(make, _ignore_errors(run), max_size=1 << 18)


FILES: dict[str, tuple[str, Callable[[int], str], Callable[[Any], object]]] = {
    "tables": ("pyproject.toml", lambda n: "[[a]]\n" * n, load),
    "keys": ("pyproject.toml", lambda n: "".join(f"a{i}.b = 1\n" for i in range(n)), load),
    "array": ("pyproject.toml", lambda n: "a = [" + "1, " * n + "]", load),
    "string": ("pyproject.toml", lambda n: 'a = """' + "\\n" * n + '"""', load),
    "example": (".env.example", lambda n: "# a\nA= # \n" * n, read_env_example),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read_in_linear_time(tmp_path, name):
    file, make, read = FILES[name]

    def write(size: int) -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / file).write_text(make(size))
        return folder if file == "pyproject.toml" else folder / file

    assert_linear(write, _ignore_errors(read), max_size=1 << 14)
