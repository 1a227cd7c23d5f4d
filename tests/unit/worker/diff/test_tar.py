"""Tests of worker/diff/src/tar.mjs: accepted, hostile and invalid tarballs.

One Node process reads all tarballs, because Node starts slowly.
"""

from __future__ import annotations

import base64
import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.diff_bundle import run_node
from tests.support.npm_registry import gzipped_tar, tar_member

READ_ALL = """
import { readFileSync } from "node:fs";
import { files } from "./src/tar.mjs";
const limits = { unpackedBytes: 12_000_000, files: 5000 };
const read = async (tarball) => {
  const contents = new Map();
  for await (const { path, mode, chunks } of files([Buffer.from(tarball, "base64")], limits)) {
    const content = [];
    for await (const chunk of chunks) content.push(chunk);
    contents.set(path, [mode, Buffer.concat(content).toString("latin1")]);
  }
  return Object.fromEntries(contents);
};
const results = {};
for (const [name, tarball] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  results[name] = await read(tarball).catch(({ code, message }) => ({ code, message }));
}
process.stdout.write(JSON.stringify(results));
"""
BLANK = bytes(512)
LONG = "/".join(["d" * 40] * 4) + "/file.js"


def _entry(name: str, content: bytes = b"", **fields: Any) -> bytes:
    """Return an entry with its content; `name` is the complete name in the tarball."""
    info, _ = tar_member("", content, name=name, **fields)
    return info.tobuf(tarfile.USTAR_FORMAT, errors="surrogateescape") + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def _pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return a pax header of "key=value" records, with their lengths added."""
    body = b""
    for record in records:
        length = len(record) + 3  # a space, a line break and at least one digit
        while len(b"%d %b\n" % (length, record)) != length:
            length += 1
        body += b"%d %b\n" % (length, record)
    return _entry("PaxHeader", body, type=kind)


def _raw_pax(body: bytes) -> bytes:
    return _entry("PaxHeader", body, type=tarfile.XHDTYPE)


def _patched(entry: bytes, at: int, value: bytes) -> bytes:
    """Return the entry with other bytes in its header and a correct checksum."""
    header = bytearray(entry[:512])
    header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + entry[512:]


def _many_files() -> bytes:
    return b"".join(_entry(f"package/{i}") for i in range(5001))


def _long_names() -> bytes:
    return b"".join(_pax(b"path=package/%01000d" % i) + A for i in range(4200))


A = _entry("package/a", b"1\n")
NOT_UTF8 = b"package/\xff".decode("utf-8", "surrogateescape")

ACCEPTED: dict[str, tuple[bytes, list[str]]] = {
    "no end": (A, ["a"]),
    "a blank block in between": (A + BLANK + _entry("package/b"), ["a", "b"]),
    "blank to the end of a tape": (A + BLANK * 18, ["a"]),
    "another first folder": (_entry("left-pad/lib/a"), ["lib/a"]),
    "a folder": (_entry("package/lib/", type=tarfile.DIRTYPE) + A, ["a"]),
    "a folder of old tars": (_entry("package/lib/") + A, ["a"]),
    "a file of old tars": (_entry("package/a", b"1\n", type=tarfile.AREGTYPE), ["a"]),
    "a contiguous file": (_entry("package/a", b"1\n", type=tarfile.CONTTYPE), ["a"]),
    "a comment of git": (_pax(b"comment=4ecbaeb", kind=tarfile.XGLTYPE) + A, ["a"]),
    "records of vendors": (_pax(b"LIBARCHIVE.creationtime=1", b"mtime=1.5") + A, ["a"]),
    "a path by pax": (_pax(b"path=package/\xc3\xa9") + A, ["é"]),
    "a size by pax": (_pax(b"size=2") + _patched(A, 124, b"0" * 11), ["a"]),
    "text from right to left": (_entry("package/\u202etxt.js"), ["\u202etxt.js"]),
    "a name that objects have": (_entry("package/__proto__"), ["__proto__"]),
    "long, ustar": (gzip.decompress(gzipped_tar([tar_member(LONG)], tarfile.USTAR_FORMAT)), [LONG]),
    "long, GNU": (gzip.decompress(gzipped_tar([tar_member(LONG)], tarfile.GNU_FORMAT)), [LONG]),
    "long, pax": (gzip.decompress(gzipped_tar([tar_member(LONG)], tarfile.PAX_FORMAT)), [LONG]),
}
# Large tarballs are functions: otherwise each process that collects tests would build them.
REFUSED: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "a path out of the package": (_entry("package/../../etc/passwd"), "unsafe_path"),
    "a path out by the first folder": (_entry("../a"), "unsafe_path"),
    "a path out by pax": (_pax(b"path=package/../../a") + A, "unsafe_path"),
    "absolute": (_entry("/etc/passwd"), "unsafe_path"),
    "a folder out of the package": (_entry("package/../..", type=tarfile.DIRTYPE), "unsafe_path"),
    "backslash": (_entry("package/..\\a"), "unsafe_path"),
    "a line break": (_entry("package/a\n+++ b/c"), "unsafe_path"),
    "an empty part": (_entry("package//a"), "unsafe_path"),
    "a dot": (_entry("package/./a"), "unsafe_path"),
    "in no folder": (_entry("a"), "unsafe_path"),
    "not UTF-8": (_entry(NOT_UTF8), "unsafe_path"),
    "not UTF-8 by pax": (_pax(b"path=package/\xff") + A, "unsafe_path"),
    "too long": (_pax(b"path=package/" + b"a" * 1020) + A, "unsafe_path"),
    "no name": (_entry(""), "unsafe_path"),
    "a symbolic link": (_entry("package/a", type=tarfile.SYMTYPE, linkname="/"), "unsafe_entry"),
    "a hard link": (_entry("package/a", type=tarfile.LNKTYPE, linkname="b"), "unsafe_entry"),
    "a device": (_entry("package/a", type=tarfile.CHRTYPE), "unsafe_entry"),
    "a pipe": (_entry("package/a", type=tarfile.FIFOTYPE), "unsafe_entry"),
    "a sparse file": (_entry("package/a", type=tarfile.GNUTYPE_SPARSE), "unsafe_entry"),
    "a long link name": (_entry("x", b"y\0", type=tarfile.GNUTYPE_LONGLINK), "unsafe_entry"),
    "one path twice": (A + A, "bad_tar"),
    "one path in two first folders": (A + _entry("other/a"), "bad_tar"),
    # ambiguous: readers differ
    "a file with a link's name": (_patched(A, 157, b"b"), "bad_tar"),
    "a file with a folder's name": (_entry("package/a/", b"1\n"), "bad_tar"),
    "more after the end": (A + BLANK * 2 + _entry("package/b"), "bad_tar"),
    "a global size": (_pax(b"size=512", kind=tarfile.XGLTYPE) + A, "bad_tar"),
    "a global path": (_pax(b"path=package/b", kind=tarfile.XGLTYPE) + A, "bad_tar"),
    "a type by pax": (_pax(b"type=SymbolicLink") + A, "bad_tar"),
    "a mode by pax": (_pax(b"mode=493") + A, "bad_tar"),
    "a link by pax": (_pax(b"linkpath=b") + A, "bad_tar"),
    "sparse by pax": (_pax(b"GNU.sparse.name=package/b") + A, "bad_tar"),
    "a record in a record": (_pax(b"comment=x\n17 path=package/b") + A, "bad_tar"),
    "a zero before a length": (_raw_pax(b"019 path=package/b\n") + A, "bad_tar"),
    "a NUL in a record": (_pax(b"path=package/b\0c") + A, "bad_tar"),
    # invalid
    "a record beyond its header": (_raw_pax(b"99 path=package/b\n") + A, "bad_tar"),
    "a record without a length": (_raw_pax(b"path=package/b\n") + A, "bad_tar"),
    "a size that is not a number": (_pax(b"size=0x2") + A, "bad_tar"),
    "a wrong checksum": (b"q" + A[1:], "bad_tar"),
    "a size that is not octal": (_patched(_entry("package/a"), 124, b"00000000009"), "bad_tar"),
    "a huge size": (_patched(_entry("package/a"), 124, b"\xa0\0\0\0\xff"), "bad_tar"),
    "not a tar": (b"x" * 1024, "bad_tar"),
    "truncated inside a header": (A + A[:100], "bad_tar"),
    "truncated inside a file": (A[:513], "bad_tar"),
    # too large
    "too many bytes": (_entry("package/a", bytes(12_000_000)), "too_large"),
    "too many files": (_many_files, "too_large"),
    "too many folders": (_entry("package/b/", type=tarfile.DIRTYPE) * 20_002, "too_large"),
    "too many bytes of names": (_long_names, "too_large"),
    "a huge pax header": (_pax(b"comment=" + b"x" * 2**20) + A, "bad_tar"),
}
DAMAGED = {
    "not gzip": A,
    "truncated gzip": gzip.compress(A)[:-9],
    "damaged gzip": gzip.compress(A)[:-8] + b"\0" * 8,
    "empty": b"",
}


@pytest.fixture(scope="module")
def results(diff_sources: Path) -> dict[str, Any]:
    """Return the files or the error of each tarball by name."""
    tarballs = {
        name: gzip.compress(tar() if callable(tar) else tar, 1)
        for name, (tar, _) in {**ACCEPTED, **REFUSED}.items()
    }
    request = {k: base64.b64encode(v).decode() for k, v in {**tarballs, **DAMAGED}.items()}
    return run_node(diff_sources, READ_ALL, request)


@pytest.mark.parametrize("name", ACCEPTED)
def test_tarballs_of_npm_and_other_tools_are_accepted(name, results):
    assert list(results[name]) == ACCEPTED[name][1]


def test_mode_and_content_of_a_file_are_returned(results):
    assert results["a path by pax"] == {"é": [0o644, "1\n"]}
    assert results["a size by pax"] == {"a": [0o644, "1\n"]}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_or_invalid_tarball_is_refused(name, results):
    assert results[name].get("code") == REFUSED[name][1], results[name]


@pytest.mark.parametrize("name", DAMAGED)
def test_an_incomplete_gzip_file_is_refused(name, results):
    assert results[name].get("code") == "bad_gzip", results[name]


def test_a_hostile_name_is_escaped_in_the_message(results):
    assert '"package/a\\n+++ b/c"' in results["a line break"]["message"]
