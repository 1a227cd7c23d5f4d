"""Layer reader: entries, compression, anomalies, bounds."""

from __future__ import annotations

import gzip
import random
import tarfile
import tracemalloc
from collections.abc import Iterator

import pytest
import zstandard

from imageproof.errors import ImageDamaged
from imageproof.image import layers, stream
from imageproof.image.facts import File, Layer
from imageproof.image.layers import read_layer
from imageproof.image.stream import decompress
from tests.support.archives import EMPTY, digest, member, tar

FIRST = tar(
    {
        "./usr/": member("./usr/", tarfile.DIRTYPE, mode=0o755),
        "./usr/a": b"a" * 100_000,
        "bin": member("bin", tarfile.SYMTYPE, linkname="usr/bin"),
        "usr/b": member("usr/b", tarfile.LNKTYPE, linkname="usr/a"),
        "dev/null": member("dev/null", tarfile.CHRTYPE),
        "own": member("own", uid=10001, gid=10002, mode=0o4755),
        "cap": member("cap", pax_headers={"SCHILY.xattr.security.capability": "x", "comment": "y"}),
        "long/" + "x" * 150: b"long",
    }
)
ZSTD_WITH_CHECKSUM = zstandard.ZstdCompressor(write_checksum=True).compress(FIRST)
EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb924"  # SHA-256 of no bytes, its first half


def _read(blob: bytes) -> Layer:
    return read_layer(decompress(blob[:8], iter([blob])))


def test_layer_has_the_digest_and_length_of_its_tar():
    layer = _read(FIRST)
    assert (layer.diff_id, layer.size) == (digest(FIRST), len(FIRST))


def test_all_kinds_of_entries_are_read():
    assert _read(FIRST).files == (
        File("usr", "folder", 0, 0o755, 0, 0),
        File("usr/a", "file", 100_000, 0o644, 0, 0, "", digest(b"a" * 100_000)[7:39]),
        File("bin", "link", 0, 0o644, 0, 0, "usr/bin"),
        File("usr/b", "hardlink", 0, 0o644, 0, 0, "usr/a"),
        File("dev/null", "other", 0, 0o644, 0, 0),
        File("own", "file", 0, 0o4755, 10001, 10002, "", EMPTY_DIGEST),
        File("cap", "file", 0, 0o644, 0, 0, "", EMPTY_DIGEST, ("security.capability",)),
        File("long/" + "x" * 150, "file", 4, 0o644, 0, 0, "", digest(b"long")[7:39]),
    )


def _cut(blob: bytes, size: int) -> Iterator[bytes]:
    return (blob[at : at + size] for at in range(0, len(blob), size))


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1 << 16, 1 << 20])
def test_chunk_size_does_not_matter(size):
    assert read_layer(_cut(FIRST, size)) == _read(FIRST)


@pytest.mark.parametrize("seed", range(8))
def test_random_and_empty_chunks_do_not_matter(seed):
    generator = random.Random(seed)

    def cut() -> Iterator[bytes]:
        at = 0
        while at < len(FIRST):
            size = generator.choice((0, 1, 7, 512, 4096, 10_240, 100_001))
            yield FIRST[at : at + size]
            at += size

    assert read_layer(cut()) == _read(FIRST)


@pytest.mark.parametrize(
    "compressed",
    [
        gzip.compress(FIRST),
        gzip.compress(FIRST[:700]) + gzip.compress(FIRST[700:]),
        gzip.compress(FIRST) + b"\0" * 100,
        zstandard.compress(FIRST),
        zstandard.compress(FIRST[:700]) + zstandard.compress(FIRST[700:]),
    ],
    ids=["gzip", "two gzip members", "gzip and padding", "zstd", "two zstd frames"],
)
def test_compression_does_not_matter(compressed):
    assert _read(compressed) == _read(FIRST)
    assert read_layer(decompress(compressed[:8], _cut(compressed, 100))) == _read(FIRST)


@pytest.mark.parametrize("blob", [EMPTY, b""])
def test_layer_without_entries_is_read(blob):
    """WORKDIR makes such layers."""
    assert _read(blob) == Layer(digest(blob), len(blob), ())


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_all_tar_formats_are_read(tar_format):
    layer = _read(tar({"a": b"x", "b" * 90: b"y"}, tar_format))
    assert [file.path for file in layer.files] == ["a", "b" * 90]


@pytest.mark.parametrize("padding", [0, 512, 9_000, 700_000])
def test_padding_counts_to_the_layer(padding):
    blob = tar({"a": b"x"}) + b"\0" * padding
    assert (_read(blob).diff_id, _read(blob).size) == (digest(blob), len(blob))


def test_texts_that_checks_read_are_stored():
    layer = _read(tar({"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/other": b"x"}))
    assert layer.texts == {"etc/passwd": "root:x:0:0::/:/bin/sh\n"}


def test_text_beyond_the_bound_is_not_stored():
    assert _read(tar({"etc/passwd": b"x" * (layers.MAX_TEXT_BYTES + 1)})).texts == {}


def test_memory_stays_flat_for_a_large_layer():
    """120 MB in three files need less than 8 MB."""
    size = 40 << 20

    def content() -> Iterator[bytes]:
        for number in range(3):
            info = member(f"file{number}", size=size)
            yield info.tobuf(tarfile.PAX_FORMAT)
            for _ in range(size // (1 << 18)):
                yield bytes(1 << 18)
        yield EMPTY

    tracemalloc.start()
    try:
        layer = read_layer(content())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert layer.size == 3 * (size + 512) + 1024
    assert peak < 8 << 20


# --- hostile layers


def _anomalies(entries: dict[str, bytes | tarfile.TarInfo]) -> str:
    return "\n".join(_read(tar(entries)).anomalies)


@pytest.mark.parametrize(
    ("entries", "anomaly"),
    [
        ({"../etc/passwd": b"x"}, "../etc/passwd leads out"),
        ({"a/../../b": b"x"}, "leads out"),
        ({"a\x1b[2Jb": b"x"}, r"a\x1b[2Jb has control characters"),
        ({"two\nlines": b"x"}, r"two\nlines has control characters"),
        ({"turn\u202efdp.exe": b"x"}, r"turn\u202efdp.exe has control characters"),
        ({"x": member("x", tarfile.LNKTYPE, linkname="../../etc/shadow")}, "a hard link out"),
        ({"x": member("x", tarfile.LNKTYPE, linkname="gone")}, "x is a hard link to nothing"),
        ({"a/.wh...": b""}, "a/.wh... is a whiteout of its own folder"),
        ({"a/.wh..": b""}, "a/.wh.. is a whiteout of its own folder"),
        ({"etc/passwd": b"x" * 100_000}, "etc/passwd is too long to be read: 100,000 bytes"),
        ({"node_modules/x/package.json": b" " * (2 << 20)}, "package.json is too long"),
    ],
)
def test_anomalies_are_noted(entries, anomaly):
    assert anomaly in _anomalies(entries)


def test_repeated_file_is_noted():
    blob = tar({"a": b"1"})[:1024] + tar({"a": b"2"})
    assert _read(blob).anomalies == ("a is in the layer twice",)


@pytest.mark.parametrize("kinds", [(tarfile.DIRTYPE, tarfile.SYMTYPE), (b"0", tarfile.DIRTYPE)])
def test_path_of_two_kinds_is_noted(kinds):
    first, second = (tar({"a": member("a", kind)}) for kind in kinds)
    assert _read(first[:512] + second).anomalies == ("a is in the layer twice",)


def test_repeated_folder_is_no_anomaly():
    folder = tar({"a": member("a", tarfile.DIRTYPE)})
    assert _read(folder[:512] + folder).anomalies == ()


def test_bytes_after_the_last_entry_are_noted():
    """Some tools stop there, others read on."""
    (anomaly,) = _read(FIRST + tar({"evil": b"x"})).anomalies
    assert anomaly == "there is more than padding behind its last entry"


def _sparse(content: bytes) -> bytes:
    """A sparse file of GNU tar (PAX, version 1.0): 1 MB with data only at the end."""
    size = 1 << 20
    holes = f"1\n{size - len(content)}\n{len(content)}\n".encode().ljust(512, b"\0")
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)}
    info = member("GNUSparseFile.0/x", pax_headers=pax | {"GNU.sparse.name": "x"})
    info.size = len(holes) + len(content)
    return info.tobuf(tarfile.PAX_FORMAT) + holes + content.ljust(1024, b"\0") + EMPTY


def test_sparse_file_is_scanned_and_noted():
    key = "-----BEGIN PRIVATE" + f" KEY-----\n{'QUJD' * 100}\n-----END PRIVATE" + " KEY-----\n"
    layer = _read(_sparse(key.encode()))
    assert [(file.path, file.size, file.digest) for file in layer.files] == [("x", 1 << 20, "")]
    assert layer.anomalies == ("x has holes, which tools fill in different ways",)
    assert [candidate.rule for candidate in layer.secret_candidates] == ["private key"]


def test_global_header_is_ignored():
    """Docker ignores it: otherwise a file would be read under another name."""
    headers = tarfile.TarInfo.create_pax_global_header({"path": "elsewhere", "comment": "0a1b"})
    layer = _read(headers + tar({"etc/passwd": b"x"}, tarfile.USTAR_FORMAT))
    assert [file.path for file in layer.files] == ["etc/passwd"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("usr//bin/./x", "usr/bin/x"), ("././x", "x"), ("/./x/", "x"), ("//x", "x"), (".", ""),
        ("./", ""), ("a/..b/...", "a/..b/..."), ("a/../b", "a/../b"), ("./../b", "../b"),
    ],
)  # fmt: skip
def test_path_is_normalized(name, path):
    assert [file.path for file in _read(tar({name: b""})).files] == [path]


@pytest.mark.parametrize(
    "name", ["two words", "menü", "..data", "a..b", "/absolute", "./x", "dir/...", "日本"]
)
def test_unusual_names_are_no_anomalies(name):
    assert _anomalies({name: b"x"}) == ""


def test_link_out_of_the_layer_is_no_anomaly():
    """In a container, links stay inside its root."""
    for target in ("/etc/alternatives/vi", "../../../lib", "nowhere"):
        assert _anomalies({"x": member("x", tarfile.SYMTYPE, linkname=target)}) == ""


def test_path_with_dots_is_not_resolved():
    paths = [file.path for file in _read(tar({"a/../../etc/passwd": b"x"})).files]
    assert paths == ["a/../../etc/passwd"]


def test_invalid_utf8_in_a_name_is_escaped():
    blob = tar({"n\udcffme": b"x"}, tarfile.GNU_FORMAT)
    layer = _read(blob)
    assert [file.path for file in layer.files] == [r"n\xffme"]
    layer.files[0].path.encode()


def test_first_anomalies_are_kept_and_the_rest_counted():
    anomalies = _read(tar({f"../{number}": b"" for number in range(1000)})).anomalies
    assert len(anomalies) == layers.MAX_ANOMALIES + 1
    assert anomalies[-1] == f"and {1000 - layers.MAX_ANOMALIES} more"


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"no tar at all" * 100, "invalid tar"),
        (FIRST[:1500], "invalid tar"),
        (FIRST[:512] + b"no header" * 100, "invalid header"),
        (FIRST[:512] + FIRST[:100], "invalid header"),
        (FIRST[:512] + b"\0" * 100, "invalid header"),
        (member("x", size=-512).tobuf(tarfile.GNU_FORMAT) + EMPTY, "negative size"),
        (tar({"a": b"x" * 5000})[:2000], "middle of a file"),
        (gzip.compress(FIRST)[:-20], "ends in the middle"),
        (gzip.compress(FIRST)[:50] + b"\xff" * 50, "gzip data is broken"),
        (ZSTD_WITH_CHECKSUM[:-1] + bytes([ZSTD_WITH_CHECKSUM[-1] ^ 1]), "zstd data is broken"),
        (tar({"x" * 5000: b""}), "more than 4096 bytes"),
        (
            tar({"x": member("x", pax_headers={"comment": "y" * (1 << 18)})}),
            "bytes of headers",
        ),
    ],
    ids=[
        "text",
        "cut",
        "no header",
        "half a header",
        "half an end",
        "negative",
        "cut file",
        "cut gzip",
        "gzip",
        "zstd",
        "path",
        "header",
    ],
)
def test_broken_layer_is_refused_with_the_cause(blob, message):
    with pytest.raises(ImageDamaged) as caught:
        _read(blob)
    assert message in caught.value.cause
    assert caught.value.hint


def test_too_many_entries_are_refused(monkeypatch):
    monkeypatch.setattr(layers, "MAX_ENTRIES", 10)
    _read(tar({str(number): b"" for number in range(10)}))
    with pytest.raises(ImageDamaged, match="more than 10 entries"):
        _read(tar({str(number): b"" for number in range(11)}))


def test_too_many_record_bytes_are_refused(monkeypatch):
    monkeypatch.setattr(layers, "MAX_TOTAL_RECORD_BYTES", 10_000)
    entries = {f"node_modules/{number}/package.json": b" " * 1000 for number in range(11)}
    with pytest.raises(ImageDamaged, match="package records have more than 10,000 bytes"):
        _read(tar(entries))


def test_error_names_the_action():
    with pytest.raises(ImageDamaged) as caught:
        read_layer(iter([b"no tar"]), "reading the layer x of y")
    assert caught.value.action == "reading the layer x of y"


def test_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(stream, "MAX_INFLATED_BYTES", 1 << 22)
    bomb = gzip.compress(tar({"a": bytes(1 << 23)}))
    assert len(bomb) < 20_000
    with pytest.raises(ImageDamaged, match="more than 0 GiB, decompressed"):
        _read(bomb)
