"""ops.facts.layers: layers out of a `docker save` stream, and what is kept of them on disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ops.errors import StackFailed
from ops.facts.image import File, Layer
from ops.facts.layers import FORMAT, _cached, _keep, _place, makers, read_archive, read_image

EMPTY = b"\0" * 1024


def _tar(entries: dict[str, bytes | tarfile.TarInfo], kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _member(name: str, kind: bytes, **changes: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in changes.items():
        setattr(member, key, value)
    return member


def _identity(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


FIRST = _tar(
    {
        "./usr/": _member("./usr/", tarfile.DIRTYPE, mode=0o755),
        "./usr/a": b"a" * 100_000,
        "bin": _member("bin", tarfile.SYMTYPE, linkname="usr/bin"),
        "usr/b": _member("usr/b", tarfile.LNKTYPE, linkname="usr/a"),
        "dev/null": _member("dev/null", tarfile.CHRTYPE),
        "own": _member("own", tarfile.REGTYPE, uid=10001, gid=10002, mode=0o4755),
        "long/" + "x" * 150: b"long",
    }
)
SECOND = _tar({"usr/.wh.a": b"", "näme": b"n"})
ARCHIVE = _tar(
    {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": b'{"manifests": []}',
        "manifest.json": b'[{"Layers": []}]',
        "VERSION": b"1.0",
        "nothing": b"",
        "blobs": _member("blobs", tarfile.DIRTYPE),
        "blobs/sha256/config": json.dumps({"x": "y" * 5000}).encode(),
        "blobs/sha256/first": FIRST,
        "blobs/sha256/empty": EMPTY,
        "blobs/sha256/second": gzip.compress(SECOND),
    }
)


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.fixture(scope="module")
def whole() -> list[Layer]:
    return list(read_archive(iter([ARCHIVE])))


def test_each_layer_is_known_by_the_hash_and_length_of_its_plain_tar(whole):
    """Whether it is packed or not; and JSON and other small blobs are no layers."""
    assert [(layer.diff_id, layer.size) for layer in whole] == [
        (_identity(blob), len(blob)) for blob in (FIRST, EMPTY, SECOND)
    ]


def test_every_entry_of_a_layer_is_read(whole):
    assert whole[0].files == (
        File("usr", "folder", 0, 0o755, 0, 0),
        File("usr/a", "file", 100_000, 0o644, 0, 0),
        File("bin", "link", 0, 0o644, 0, 0, "usr/bin"),
        File("usr/b", "hardlink", 0, 0o644, 0, 0, "usr/a"),
        File("dev/null", "other", 0, 0o644, 0, 0),
        File("own", "file", 0, 0o4755, 10001, 10002),
        File("long/" + "x" * 150, "file", 4, 0o644, 0, 0),
    )
    assert whole[1].files == ()
    assert [file.path for file in whole[2].files] == ["usr/.wh.a", "näme"]


@pytest.mark.parametrize("size", [511, 512, 513, 1 << 16, 1 << 20])
def test_it_does_not_matter_where_the_stream_is_cut(whole, size):
    assert list(read_archive(_chunks(ARCHIVE, size))) == whole


def test_chunks_of_one_byte_give_the_same():
    small = _tar({"config": b"{}", "layer": _tar({"a": b"x"}), "gz": gzip.compress(SECOND)})
    assert list(read_archive(_chunks(small, 1))) == list(read_archive(_chunks(small, 1 << 20)))
    assert len(list(read_archive(_chunks(small, 1)))) == 2


@pytest.mark.parametrize("seed", range(8))
def test_random_chunks_some_of_them_empty_give_the_same(whole, seed):
    chance = random.Random(seed)

    def cut() -> Iterator[bytes]:
        at = 0
        while at < len(ARCHIVE):
            size = chance.choice((0, 1, 7, 512, 4096, 10_240, 100_001))
            yield ARCHIVE[at : at + size]
            at += size

    assert list(read_archive(cut())) == whole


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_layer_without_entries_is_a_layer(pack):
    """WORKDIR makes such a one."""
    found = list(read_archive(iter([_tar({"layer": pack(EMPTY)})])))
    assert found == [Layer(_identity(EMPTY), 1024, ())]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_tar_is_read(kind):
    blob = _tar({"a": b"x", "b" * 90: b"y"}, kind)
    (found,) = read_archive(iter([_tar({"layer": blob})]))
    assert [file.path for file in found.files] == ["a", "b" * 90]
    assert found.diff_id == _identity(blob)


@pytest.mark.parametrize("padding", [0, 512, 9_000, 70_000])
def test_what_stands_behind_the_last_entry_belongs_to_the_layer(padding):
    blob = _tar({"a": b"x"}) + b"\0" * padding
    (found,) = read_archive(iter([_tar({"layer": blob})]))
    assert (found.diff_id, found.size) == (_identity(blob), len(blob))


@pytest.mark.parametrize("name", ["[id].js", "{x}"])
def test_a_layer_whose_first_name_begins_like_json_is_a_layer(name):
    blob = _tar({name: b"x"})
    assert [f.diff_id for f in read_archive(iter([_tar({"layer": blob})]))] == [_identity(blob)]


# --- the cache


LAYER = Layer(
    "sha256:" + "c" * 64,
    4711,
    (File("usr/ä", "link", 0, 0o777, 1, 2, "x y"), File("b", "file", 3, 0o644, 0, 0)),
)


def test_what_is_kept_is_read_again(tmp_path):
    _keep(tmp_path / "new folder", LAYER)
    assert _cached(tmp_path / "new folder", LAYER.diff_id) == LAYER
    assert [path.suffix for path in (tmp_path / "new folder").iterdir()] == [".json"]


def test_a_layer_that_was_never_kept_is_none(tmp_path):
    _keep(tmp_path, LAYER)
    assert _cached(tmp_path, "sha256:" + "d" * 64) is None
    assert _cached(tmp_path / "no folder", LAYER.diff_id) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-5],
        lambda text: "\0" * len(text),
        lambda text: "null",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'),
        lambda text: text.replace('"format"', '"fromat"'),
        lambda text: text.replace('"size": 4711', '"size": null'),
        lambda text: text.replace('"size": 4711', '"size": "many"'),
        lambda text: text.replace(', "x y"]', ', "x y", 1, 2]'),
        lambda text: text.replace('"files": [', '"files": [7, '),
    ],
)
def test_a_file_of_the_cache_that_is_damaged_or_of_another_format_counts_as_none(tmp_path, spoil):
    _keep(tmp_path, LAYER)
    place = _place(tmp_path, LAYER.diff_id)
    spoilt = spoil(place.read_text())
    assert spoilt != place.read_text()
    place.write_text(spoilt)
    assert _cached(tmp_path, LAYER.diff_id) is None


def test_bytes_that_are_no_text_count_as_none(tmp_path):
    _place(tmp_path, LAYER.diff_id).write_bytes(b"\xff\xfe\xff")
    assert _cached(tmp_path, LAYER.diff_id) is None


# --- an image of an engine that is not there


class _Engine:
    """An engine with one image; it counts how often its layers are asked for."""

    def __init__(self, *diff_ids: str, present: bool = True) -> None:
        self.diff_ids = diff_ids
        self.present = present
        self.saved = 0
        self.docker = SimpleNamespace(image=self)

    def image(self, reference: str) -> object:
        return self.docker if self.present else None

    def inspect(self, kind: str, names: list[str]) -> list[dict[str, object]]:
        return [{"Id": "i", "RootFS": {"Layers": list(self.diff_ids)}}]

    def history(self, reference: str) -> list[str]:
        return ["COPY a / # buildkit", "ENV A=b", "WORKDIR /app", "COPY b / # buildkit"]

    def save(self, reference: str) -> Iterator[bytes]:
        self.saved += 1
        return iter([ARCHIVE])


class _Saving(_Engine):
    def __init__(self, *diff_ids: str) -> None:
        super().__init__(*diff_ids)
        self.docker = SimpleNamespace(image=SimpleNamespace(save=self.save))


IDS = (_identity(FIRST), _identity(EMPTY), _identity(SECOND))


def test_an_image_that_is_not_there_has_no_facts(tmp_path):
    assert read_image(_Engine(present=False), "r", tmp_path) is None


def test_an_image_is_read_once_and_then_from_the_cache(tmp_path):
    engine = _Saving(*IDS)
    first, second = read_image(engine, "r", tmp_path), read_image(engine, "r", tmp_path)
    assert first is not None
    assert first == second
    assert engine.saved == 1
    assert [layer.instruction for layer in first.layers] == ["COPY a /", "WORKDIR /app", "COPY b /"]
    assert first.size == len(FIRST) + len(EMPTY) + len(SECOND)


def test_a_damaged_cache_is_read_anew(tmp_path):
    engine = _Saving(*IDS)
    first = read_image(engine, "r", tmp_path)
    _place(tmp_path, IDS[1]).write_text("{")
    assert read_image(engine, "r", tmp_path) == first
    assert engine.saved == 2


def test_a_layer_that_the_engine_does_not_give_is_an_error(tmp_path):
    with pytest.raises(StackFailed, match="did not give sha256:dd"):
        read_image(_Saving(*IDS, "sha256:dd"), "r", Path(tmp_path))


# --- who made a layer


@pytest.mark.parametrize(
    ("history", "count", "found"),
    [
        (["COPY a /", "RUN x"], 2, ["COPY a /", "RUN x"]),
        (["ENV A=b", "COPY a /", "USER 1:1", "CMD x", "LABEL a=b"], 1, ["COPY a /"]),
        (["ARG A", "WORKDIR /app", "EXPOSE 80", "HEALTHCHECK x"], 1, ["WORKDIR /app"]),
        (["STOPSIGNAL TERM", "SHELL x", "VOLUME /x", "ENTRYPOINT x", "ONBUILD x"], 0, []),
        (["MAINTAINER me", "ADD a /"], 1, ["ADD a /"]),
        # a program's name that begins like an instruction is none
        (["RUN ENV", "ENVIRON x"], 2, ["RUN ENV", "ENVIRON x"]),
        # history and layers do not agree: nothing is guessed
        (["COPY a /"], 2, ["", ""]),
        (["COPY a /", "COPY b /"], 1, [""]),
        ([], 1, [""]),
        ([], 0, []),
    ],
)
def test_the_instruction_that_made_each_layer(history, count, found):
    assert makers(history, count) == found
