"""Tests of worker/diff/src/compare.mjs and print.mjs: changed files, and npm's own diff text."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter

import pytest

from tests.support.diff_bundle import NPM
from tests.support.npm_registry import Files, Registry, gzipped_tar, serving, tar_member
from worker.change import Change, FileChange
from worker.npm_diff import diff_versions


@pytest.fixture
def registry():
    with serving() as started:
        yield started


def _change(registry: Registry, old: bytes | Files, new: bytes | Files) -> Change:
    registry.publish("1.0.0", old)
    registry.publish("1.1.0", new)
    return diff_versions("sample", "1.0.0", "1.1.0", registry=registry.address, token=None)


def _files(registry: Registry, old: bytes | Files, new: bytes | Files) -> dict[str, FileChange]:
    return {file.path: file for file in _change(registry, old, new).files}


def _npm_diff(registry: Registry, folder: os.PathLike[str]) -> str:
    """Return the output of `npm diff` for the two versions."""
    options = {"registry": registry.address, "cache": folder, "userconfig": os.devnull}
    command = ["node", NPM, "diff", "--diff=sample@1.0.0", "--diff=sample@1.1.0"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().removesuffix("\n")


NUMBERS = [b"%d" % i for i in range(40)]
# path, old content, new content, old mode, new mode
MODIFIED: list[tuple[str, bytes, bytes, int, int]] = [
    ("bin/run", b"#!/bin/sh\n", b"#!/bin/sh\n", 0o644, 0o755),
    ("bin/both", b"old\n", b"new\n", 0o755, 0o644),
    ("same", b"same\n", b"same\n", 0o644, 0o644),
    ("crlf.txt", b"a\r\nb\r\n", b"a\nb\r\n", 0o644, 0o644),
    ("no-end", b"a\nb", b"a\nb\n", 0o644, 0o644),
    ("no-ends", b"a\nb", b"a\nc", 0o644, 0o644),
    ("tabs.js", b"a\t\nb\nc\t\n", b"a\t\nB\nc\t\n", 0o644, 0o644),
    ("blank-end.js", b"a\nb\n\n  \n\n\n\n", b"a\nB\n\n  \n\n\n\n", 0o644, 0o644),
    ("far.js", b"\n".join(NUMBERS), b"\n".join([b"x", *NUMBERS[1:30], *NUMBERS[33:]]), 420, 420),
    ("picture.png", b"\x89PNG\r\n\x1a\n\0old", b"\x89PNG\r\n\x1a\n\0new", 0o644, 0o644),
    ("text.png", b"old\n", b"new\n", 0o644, 0o644),
    ("now-empty", b"x\n", b"", 0o644, 0o644),
    ("unicode-é.js", "é€😀\n".encode(), "é€😁\n".encode(), 0o644, 0o644),
    ("nul.js", b"//\0\na()\n", b"//\0\nb()\n", 0o644, 0o644),
    ("z-blank-end.js", b"a\n \n", b"b\n \n", 0o644, 0o644),
]


def _tarballs() -> tuple[bytes, bytes]:
    manifest = [tar_member("package.json", b'{"name": "sample"}\n')]
    old = [tar_member(name, a, mode=mode) for name, a, _, mode, _ in MODIFIED]
    new = [tar_member(name, b, mode=mode) for name, _, b, _, mode in MODIFIED]
    gone, empty = tar_member("gone.js", b"x\ny\n"), tar_member("empty.js")
    added = [tar_member("added.js", b"1\n2\n"), tar_member("lib/a.node", b"\0\1"), empty]
    return gzipped_tar(manifest + old + [gone]), gzipped_tar(manifest + new[::-1] + added)


def test_the_diff_equals_the_output_of_npm_diff(registry, tmp_path):
    """Modes, line ends, blanks at the end of a hunk, files that npm calls binary, the order."""
    change = _change(registry, *_tarballs())
    assert change.diff == _npm_diff(registry, tmp_path)
    assert not change.truncated


def test_each_changed_file_is_described(registry):
    files = _files(registry, *_tarballs())
    assert {file.path for file in files.values() if file.status == "added"} == {
        "added.js", "empty.js", "lib/a.node",
    }  # fmt: skip
    assert [path for path, file in files.items() if file.status == "removed"] == ["gone.js"]
    assert [path for path, file in files.items() if file.executable] == ["bin/run"]
    assert list(files) == sorted(files)
    assert "same" not in files
    run = files["bin/run"]
    assert (run.status, run.size, run.complete) == ("modified", 10, True)
    assert (run.added_lines, run.removed_lines) == ((), ())
    far = files["far.js"]
    assert (far.added_lines, far.removed_lines) == (((1, "x"),), ("0", "30", "31", "32"))
    assert (far.longest_line_before, far.longest_line) == (2, 2)
    assert (far.kind, far.note) == ("text", "")
    assert files["text.png"].added_lines == ((1, "new"),)  # Node would run it under any name
    assert files["nul.js"].added_lines == ((2, "b()"),)  # Node would run it too
    assert files["picture.png"].note == "binary"
    assert files["unicode-é.js"].longest_line == 3
    assert files["gone.js"].size == 0


def test_added_and_removed_lines_turn_the_old_file_into_the_new(registry):
    rng = random.Random(7)
    old, new = {}, {}
    for i in range(200):
        lines = [rng.choice("abcdef") for _ in range(rng.randrange(60))]
        old[f"f{i:03}"] = lines
        changed = [c for c in lines if rng.random() > 0.1]
        for _ in range(rng.randrange(4)):
            changed.insert(rng.randrange(len(changed) + 1), rng.choice("abcxyz"))
        new[f"f{i:03}"] = changed
    contents = [
        {k: "".join(f"{c}\n" for c in v).encode() for k, v in side.items()} for side in (old, new)
    ]
    change = _change(registry, *contents)
    assert {file.path for file in change.files} == {k for k in old if old[k] != new[k]}
    for file in change.files:
        numbers = {number for number, _ in file.added_lines}
        unchanged = [c for n, c in enumerate(new[file.path], 1) if n not in numbers]
        assert all(new[file.path][number - 1] == line for number, line in file.added_lines)
        assert Counter(unchanged) == Counter(old[file.path]) - Counter(file.removed_lines)
        assert len(file.removed_lines) + len(unchanged) == len(old[file.path])
    assert change.stats["lines_added"] == sum(len(file.added_lines) for file in change.files)
    assert change.stats["files_changed"] == len(change.files)
    assert (change.stats["files_from"], change.stats["files_to"]) == (201, 201)


def test_control_characters_are_escaped_in_the_diff(registry):
    """npm prints ESC and CR, which can hide text in a terminal."""
    change = _change(registry, {}, {"a.js": b"a\x1b[8mevil()\rfine()\x9b1A\n"})
    assert "+a^[[8mevil()^Mfine()" in change.diff
    assert not set(change.diff) & {"\x1b", "\r", "\x9b"}
    assert change.files[0].added_lines[0][1].startswith("a\x1b[8mevil()\r")  # unchanged


def test_equal_versions_have_no_difference(registry):
    change = _change(registry, {"a.js": b"1\n"}, {"a.js": b"1\n"})
    assert (change.files, change.diff) == ((), "")


KINDS = {
    "text": b"#!/usr/bin/env node\n",
    "text.2": "MZ, BZh and é".encode(),
    "text.3": b"latin \xe9",
    "elf": b"\x7fELF\2\1\1\0",
    "mach-o": b"\xcf\xfa\xed\xfe\7\0\0\1",
    "mach-o.2": b"\xca\xfe\xba\xbe\0\0\0\2",
    "binary.java": b"\xca\xfe\xba\xbe\0\0\0\x34",
    "pe": b"MZ\x90\0",
    "wasm": b"\0asm\1\0\0\0",
    "archive.gz": b"\x1f\x8b\x08\0",
    "archive.zip": b"PK\3\4\x14\0",
    "archive.xz": b"\xfd7zXZ\0",
    "archive.tar": bytes(257) + b"ustar",
    "binary": b"\1\2\0\3",
}


def test_the_kind_depends_on_the_first_bytes_not_the_name(registry):
    files = _files(registry, {}, {f"{name}.js": content for name, content in KINDS.items()})
    assert {path: file.kind for path, file in files.items()} == {
        f"{name}.js": name.partition(".")[0] for name in KINDS
    }
    formats = [file for file in files.values() if file.kind not in ("text", "binary")]
    assert {(file.added_lines, file.note, file.complete) for file in formats} == {
        ((), "binary", True)
    }


def test_all_lines_of_a_text_that_replaces_a_binary_file_are_added(registry):
    files = _files(registry, {"a.js": b"\x7fELF\0\0"}, {"a.js": b"evil()\n"})
    assert (files["a.js"].kind, files["a.js"].added_lines) == ("text", ((1, "evil()"),))


def test_a_difference_in_invalid_utf8_only_is_reported(registry):
    """Two different bytes may decode to the same replacement character."""
    change = _change(
        registry,
        {"a.js": b"\xff\n", "b.js": b"\xff\na\n"},
        {"a.js": b"\xfe\n", "b.js": b"\xff\nb\n"},
    )
    a, b = change.files
    assert (a.note, a.complete) == ("it differs only in bytes that are not UTF-8", False)
    assert "(it differs only in bytes that are not UTF-8)" in change.diff
    assert (b.added_lines, b.removed_lines, b.complete) == (((2, "b"),), ("a",), True)


@pytest.mark.parametrize(
    "begin", [b"BZh=1/*\0*/;", b"MZ=1/*\0*/;", b"/*\0" + b" " * 254 + b"ustar*/"]
)
def test_a_script_that_begins_like_an_archive_or_program_is_compared(
    registry: Registry, begin: bytes
):
    """Node runs it, if it has no extension that Node knows."""
    files = _files(registry, {"core": b"a\n"}, {"core": begin + b"\neval(x)\n"})
    assert (2, "eval(x)") in files["core"].added_lines


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b\0\n", b"\x7fELF\0\n", b"PK\x03\x04\0\n", b"\0asm\n"]
)
def test_a_format_that_is_no_script_is_not_compared(registry: Registry, content: bytes):
    assert _files(registry, {"core": b"a\n"}, {"core": content})["core"].added_lines == ()
