"""What the diff program tells of the files that differ, beside what npm itself prints."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter

import pytest

from tests.support.diff_bundle import NPM
from tests.support.npm_registry import Files, Registry, archived, member, serving
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
    """What npm prints for the two versions, with no configuration but this."""
    options = {"registry": registry.address, "cache": folder, "userconfig": os.devnull}
    command = ["node", NPM, "diff", "--diff=sample@1.0.0", "--diff=sample@1.1.0"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode().removesuffix("\n")


NUMBERS = [b"%d" % i for i in range(40)]
MODES: list[tuple[str, bytes, bytes, int, int]] = [
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


def _both() -> tuple[bytes, bytes]:
    manifest = [member("package.json", b'{"name": "sample"}\n')]
    old = [member(name, a, mode=mode) for name, a, _, mode, _ in MODES]
    new = [member(name, b, mode=mode) for name, _, b, _, mode in MODES]
    gone, empty = member("gone.js", b"x\ny\n"), member("empty.js")
    added = [member("added.js", b"1\n2\n"), member("lib/a.node", b"\0\1"), empty]
    return archived(manifest + old + [gone]), archived(manifest + new[::-1] + added)


def test_the_diff_is_what_npm_prints(registry, tmp_path):
    """Modes, line ends, blanks at the end of a hunk, files that npm calls binary, the order."""
    change = _change(registry, *_both())
    assert change.diff == _npm_diff(registry, tmp_path)
    assert not change.truncated


def test_a_file_is_described(registry):
    files = _files(registry, *_both())
    assert {file.path for file in files.values() if file.status == "added"} == {
        "added.js", "empty.js", "lib/a.node",
    }  # fmt: skip
    assert [path for path, file in files.items() if file.status == "removed"] == ["gone.js"]
    assert [path for path, file in files.items() if file.executable] == ["bin/run"]
    assert list(files) == sorted(files)
    assert "same" not in files
    run = files["bin/run"]
    assert (run.status, run.size, run.lines, run.gone, run.whole) == ("modified", 10, (), (), True)
    far = files["far.js"]
    assert (far.lines, far.gone) == (((1, "x"),), ("0", "30", "31", "32"))
    assert (far.longest_before, far.longest, far.kind, far.note) == (2, 2, "text", "")
    assert files["text.png"].lines == ((1, "new"),)  # Node would run it, whatever its name
    assert files["nul.js"].lines == ((2, "b()"),)  # this too
    assert files["picture.png"].note == "binary"
    assert files["unicode-é.js"].longest == 3
    assert files["gone.js"].size == 0


def test_lines_and_numbers_make_the_new_file_of_the_old(registry):
    """For many random pairs: hunks side by side, at the edges, everything replaced."""
    rng = random.Random(7)
    old, new = {}, {}
    for i in range(200):
        lines = [rng.choice("abcdef") for _ in range(rng.randrange(60))]
        old[f"f{i:03}"] = lines
        changed = [c for c in lines if rng.random() > 0.1]
        for _ in range(rng.randrange(4)):
            changed.insert(rng.randrange(len(changed) + 1), rng.choice("abcxyz"))
        new[f"f{i:03}"] = changed
    text = [
        {k: "".join(f"{c}\n" for c in v).encode() for k, v in side.items()} for side in (old, new)
    ]
    change = _change(registry, *text)
    assert {file.path for file in change.files} == {k for k in old if old[k] != new[k]}
    for file in change.files:
        numbers = {number for number, _ in file.lines}
        kept = [c for n, c in enumerate(new[file.path], 1) if n not in numbers]
        assert all(new[file.path][number - 1] == line for number, line in file.lines)
        assert Counter(kept) == Counter(old[file.path]) - Counter(file.gone)
        assert len(file.gone) + len(kept) == len(old[file.path])
    assert change.stats["lines_added"] == sum(file.added for file in change.files)
    assert change.stats["files_changed"] == len(change.files)
    assert (change.stats["files_from"], change.stats["files_to"]) == (201, 201)


def test_a_diff_does_nothing_to_a_terminal(registry):
    """npm lets colours and the return to a line's start through, which hide text."""
    change = _change(registry, {}, {"a.js": b"a\x1b[8mevil()\rfine()\x9b1A\n"})
    assert "+a^[[8mevil()^Mfine()" in change.diff
    assert not set(change.diff) & {"\x1b", "\r", "\x9b"}
    assert change.files[0].lines[0][1].startswith("a\x1b[8mevil()\r")  # as it is


def test_no_difference_is_none(registry):
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


def test_a_kind_is_by_the_first_bytes_and_not_by_the_name(registry):
    files = _files(registry, {}, {f"{name}.js": content for name, content in KINDS.items()})
    assert {path: file.kind for path, file in files.items()} == {
        f"{name}.js": name.partition(".")[0] for name in KINDS
    }
    native = {path: file for path, file in files.items() if file.kind not in ("text", "binary")}
    assert {(file.lines, file.note, file.whole) for file in native.values()} == {
        ((), "binary", True)
    }


def test_a_text_in_place_of_a_binary_file_is_seen_whole(registry):
    """No line may come in unseen."""
    files = _files(registry, {"a.js": b"\x7fELF\0\0"}, {"a.js": b"evil()\n"})
    assert (files["a.js"].kind, files["a.js"].lines) == ("text", ((1, "evil()"),))


def test_bytes_that_are_not_utf8_hide_no_difference(registry):
    """Two bytes that both become a replacement character are still two bytes."""
    change = _change(
        registry,
        {"a.js": b"\xff\n", "b.js": b"\xff\na\n"},
        {"a.js": b"\xfe\n", "b.js": b"\xff\nb\n"},
    )
    a, b = change.files
    assert (a.note, a.whole) == ("it differs only in bytes that are not UTF-8", False)
    assert "(it differs only in bytes that are not UTF-8)" in change.diff
    assert (b.lines, b.gone, b.whole) == (((2, "b"),), ("a",), True)
