"""ops.facts.archive and sources: images in files and folders, and what of them is not believed."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard

from ops.errors import OpsError, StackFailed, UsageError
from ops.facts import archive, cache, sources
from ops.facts import layout as layout_
from ops.facts.image import ImageFacts
from ops.facts.sources import is_archive, read_images
from tests.unit.ops.archives import EMPTY, config, digest, layout, member, saved, tar

FIRST, SECOND = tar({"a": b"1", "usr/bin/python": b"x" * 3000}), tar({"b": b"2"})
LAYERS = (FIRST, EMPTY, SECOND)


def _read(path: Path, folder: Path) -> ImageFacts:
    engine: Any = None  # no engine is asked for a file
    found = read_images(engine, [str(path)], folder / "cache")[str(path)]
    assert found is not None
    return found


def _file(folder: Path, blob: bytes, name: str = "image.tar") -> Path:
    path = folder / name
    path.write_bytes(blob)
    return path


def _json(name: str, document: Any) -> dict[str, bytes]:
    return {name: json.dumps(document).encode()}


def _seen(facts: ImageFacts) -> list[tuple[str, int, str]]:
    return [(layer.diff_id, layer.size, layer.instruction) for layer in facts.layers]


WANTED = [(digest(blob), len(blob), f"COPY {n} /") for n, blob in enumerate(LAYERS)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_saved_image_is_read_from_a_file(tmp_path, pack):
    facts = _read(_file(tmp_path, pack(saved(LAYERS))), tmp_path)
    assert _seen(facts) == WANTED
    assert (facts.user, facts.command, facts.environment) == (
        "10001:10001",
        ("python",),
        {"A": "b"},
    )
    assert facts.history == ("COPY 0 /", "COPY 1 /", "COPY 2 /", "CMD python")
    assert sorted(facts.files) == ["a", "b", "usr/bin/python"]


def test_an_old_engines_archive_is_read(tmp_path):
    """Before engine 25: a folder a layer, the configuration beside them."""
    names = [f"{number}/layer.tar" for number in range(3)]
    manifest = [{"Config": "abc.json", "RepoTags": ["a:1"], "Layers": names}]
    blobs = dict(zip(names, LAYERS, strict=True))
    blobs |= {"0/VERSION": b"1.0", "0/json": b"{}", "abc.json": json.dumps(config(LAYERS)).encode()}
    blob = tar(blobs | {"manifest.json": json.dumps(manifest).encode()})
    assert _seen(_read(_file(tmp_path, blob), tmp_path)) == WANTED


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_an_oci_layout_is_read(tmp_path, pack):
    folder = layout(tmp_path / "layout", LAYERS, [pack(blob) for blob in LAYERS])
    assert _seen(_read(folder, tmp_path)) == WANTED


def test_an_oci_layout_may_lie_in_a_tar(tmp_path):
    folder = layout(tmp_path / "layout", LAYERS, [gzip.compress(blob) for blob in LAYERS])
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert _seen(_read(_file(tmp_path, tar(files)), tmp_path)) == WANTED


def test_an_index_in_an_index_is_followed_to_this_machines_platform(tmp_path, monkeypatch):
    monkeypatch.setattr(layout_.platform, "machine", lambda: "aarch64")
    folder = layout(tmp_path / "layout", LAYERS)
    inner = json.loads((folder / "index.json").read_text())
    other = {"digest": digest(b"nothing"), "platform": {"architecture": "amd64"}}
    inner["manifests"][0]["platform"] = {"architecture": "arm64", "os": "linux"}
    text = json.dumps({"manifests": [other, *inner["manifests"]]}).encode()
    (folder / "blobs/sha256" / digest(text).partition(":")[2]).write_bytes(text)
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": digest(text)}]}))
    assert _seen(_read(folder, tmp_path)) == WANTED


def test_a_layer_that_is_there_twice_is_a_link_in_an_old_engines_archive(tmp_path):
    twice = (FIRST, SECOND, FIRST)
    link = member("2/layer.tar", tarfile.SYMTYPE, linkname="../0/layer.tar")
    names = [f"{number}/layer.tar" for number in range(3)]
    manifest = [{"Config": "abc.json", "RepoTags": None, "Layers": names}]
    blobs = {names[0]: FIRST, names[1]: SECOND, names[2]: link}
    blobs |= {"abc.json": json.dumps(config(twice)).encode()}
    facts = _read(_file(tmp_path, tar(blobs | _json("manifest.json", manifest))), tmp_path)
    assert [layer.diff_id for layer in facts.layers] == list(map(digest, twice))


def test_the_identity_is_the_digest_of_the_configuration(tmp_path):
    text = json.dumps(config(LAYERS)).encode()
    in_file = _read(_file(tmp_path, saved(LAYERS)), tmp_path)
    in_folder = _read(layout(tmp_path / "layout", LAYERS), tmp_path)
    assert in_file.identity == in_folder.identity == digest(text)


def test_a_bill_of_materials_beside_an_image_is_no_document_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "DOCUMENT_BYTES", 1000)
    blob = saved(LAYERS)[: -len(EMPTY)].rstrip(b"\0")
    blob += b"\0" * (-len(blob) % 512) + tar({"sbom": b'{"x": "' + b"y" * 3000 + b'"}'})
    assert _seen(_read(_file(tmp_path, blob), tmp_path)) == WANTED


def _two_in_one_layout(folder: Path, **second: Any) -> Path:
    """A layout that has the images of two; `second` is said of the second one."""
    made, other = layout(folder / "one", LAYERS), layout(folder / "two", (SECOND,))
    for path in (other / "blobs/sha256").iterdir():
        (made / "blobs/sha256" / path.name).write_bytes(path.read_bytes())
    added = json.loads((other / "index.json").read_text())["manifests"][0] | second
    _edit("index.json", lambda d: d["manifests"].append(added))(made)
    return made


def test_several_images_are_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="it holds 2 images for this machine: a:1, b:2") as caught:
        _read(_file(tmp_path, saved(LAYERS, tags=("a:1", "b:2"))), tmp_path)
    assert caught.value.hint
    name = {"annotations": {"org.opencontainers.image.ref.name": "shop:2"}}
    with pytest.raises(UsageError, match=r"2 images for this machine: sha256:\w+..., shop:2"):
        _read(_two_in_one_layout(tmp_path, **name), tmp_path)


@pytest.mark.parametrize(
    "platform", [{"os": "windows", "architecture": "amd64"}, {"architecture": "s390x"}]
)
def test_an_image_of_another_platform_is_passed_by(tmp_path, platform, monkeypatch):
    monkeypatch.setattr(layout_.platform, "machine", lambda: "x86_64")
    assert _seen(_read(_two_in_one_layout(tmp_path, platform=platform), tmp_path)) == WANTED


def test_one_image_under_two_names_is_one(tmp_path):
    folder = layout(tmp_path / "layout", LAYERS)
    _edit("index.json", lambda d: d["manifests"].append(dict(d["manifests"][0])))(folder)
    assert _seen(_read(folder, tmp_path)) == WANTED


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_neither_file_nor_folder_is_not_waited_for(tmp_path, make):
    make(tmp_path / "image.tar")
    with pytest.raises(UsageError, match="no file or folder"):
        _read(tmp_path / "image.tar", tmp_path)


def test_a_file_that_cannot_be_read_is_a_wrong_command_line(tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sources, "image_of_tar", fails)
    with pytest.raises(UsageError, match="Permission denied"):
        _read(_file(tmp_path, b""), tmp_path)


def test_a_file_that_is_not_there_is_a_wrong_command_line(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        _read(tmp_path / "none.tar", tmp_path)


@pytest.mark.parametrize(
    ("reference", "archive_"),
    [
        ("./image", True), ("../x", True), ("/srv/layout", True), ("image.tar", True),
        ("x/image.tar.gz", True), ("image.tar.zst", True), ("shop:1", False),
        ("registry.invalid/tar/shop:1", False), ("shop@sha256:0", False), ("shop.tar:1", False),
    ],
)  # fmt: skip
def test_a_name_is_an_image_unless_it_looks_like_a_path(reference, archive_):
    assert is_archive(reference) is archive_


# --- what is not believed


def _layout_with(folder: Path, spoil: Any) -> Path:
    made = layout(folder / "layout", LAYERS)
    spoil(made)
    return made


def _edit(name: str, change: Any) -> Any:
    def spoil(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return spoil


def _blob(folder: Path, blob: bytes) -> Path:
    return folder / "blobs/sha256" / digest(blob).partition(":")[2]


def _link(folder: Path) -> None:
    place = _blob(folder, FIRST)
    place.rename(folder / "elsewhere")
    place.symlink_to(folder / "elsewhere")


def _link_folder(folder: Path) -> None:
    (folder / "blobs").rename(folder.parent / "elsewhere")
    (folder / "blobs").symlink_to(folder.parent / "elsewhere")


def _digest_of(value: Any) -> Any:
    return lambda document: document["manifests"][0].update(digest=value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: _blob(f, FIRST).write_bytes(SECOND), "is damaged"),
        (lambda f: _blob(f, FIRST).write_bytes(FIRST[:700]), "it is no tar"),
        (lambda f: _blob(f, FIRST).unlink(), "it has no file blobs/sha256/"),
        (_link, "it has no file blobs/sha256/"),
        (_link_folder, "it has no file blobs/sha256/"),
        (lambda f: (f / "index.json").unlink(), "it has no file index.json"),
        (lambda f: (f / "index.json").write_text("{"), "index.json is no JSON"),
        (lambda f: (f / "index.json").write_text("[]"), "it is no OCI layout"),
        (lambda f: (f / "index.json").write_text("[" * 100_000), "index.json is no JSON"),
        (lambda f: (f / "index.json").write_text("1" * 5_000_000), "no document index.json of at"),
        (_edit("index.json", _digest_of("sha256:" + "0" * 64)), "it has no file blobs"),
        (_edit("index.json", _digest_of("../../../../etc/passwd")), "is no digest"),
        (_edit("index.json", _digest_of(7)), "it is no OCI layout"),
        (_edit("index.json", lambda d: d.update(manifests=[])), "it holds 0 images"),
    ],
)
def test_a_layout_that_contradicts_itself_is_an_error(tmp_path, spoil, said):
    folder = _layout_with(tmp_path, spoil)
    with pytest.raises(OpsError) as caught:
        _read(folder, tmp_path)
    assert said in caught.value.cause
    assert caught.value.hint


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (config((FIRST, SECOND)), "not those that its configuration names"),
        ({}, "it is no image"),
        ({"rootfs": None}, "it is no image"),
        ([], "it is no image"),
        ({"rootfs": {"diff_ids": 7}}, "it is no image"),
        (config(LAYERS, config={"Env": 7}), "not one that the OCI image specification knows"),
        (config(LAYERS, config=[1]), "not one that the OCI image specification knows"),
        (config(LAYERS, config={"Healthcheck": {"Test": ["CMD"], "Interval": "x"}}), "not one"),
    ],
)
def test_a_configuration_that_is_none_is_an_error(tmp_path, document, said):
    with pytest.raises(StackFailed) as caught:
        _read(_file(tmp_path, saved(LAYERS, document)), tmp_path)
    assert said in caught.value.cause


def test_an_index_that_names_itself_ends(tmp_path):
    folder = layout(tmp_path / "layout", LAYERS)
    inner: Sequence[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    nested = {"manifests": [inner[0]]}
    for _ in range(layout_.DEPTH + 1):
        text = json.dumps(nested).encode()
        (folder / "blobs/sha256" / digest(text).partition(":")[2]).write_bytes(text)
        nested = {"manifests": [{"digest": digest(text)}]}
    (folder / "index.json").write_text(json.dumps(nested))
    with pytest.raises(StackFailed, match="more than 4 deep"):
        _read(folder, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "it has no document index.json"),
        (tar({"manifest.json": b"{nope"}), "manifest.json is no JSON"),
        (tar({"manifest.json": b"[" * 100_000}), "manifest.json is no JSON"),
        (tar({"manifest.json": b'[{"Config": "x", "Layers": []}]'}), "it has no document x"),
        (tar({"manifest.json": b'[{"Config": ["x"], "Layers": []}]'}), "it is no image"),
        (tar({"manifest.json": b'[{"Config": "manifest.json"}]'}), "it is no image"),
        (tar({"manifest.json": b"[1]"}), "it is no image"),
        (tar({"manifest.json": b"{}"}), "it holds 0 images"),
        (saved(LAYERS)[:2000], "unexpected end of data"),
        (gzip.compress(saved(LAYERS))[:-30], "reading image.tar: its gzip data is broken"),
        (b"no tar" * 1000, "reading image.tar: it is no tar"),
    ],
)
def test_an_archive_that_is_none_is_an_error(tmp_path, text, said):
    with pytest.raises(OpsError) as caught:
        _read(_file(tmp_path, text), tmp_path)
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_broken_layer_is_named(tmp_path):
    blob = gzip.compress(FIRST)[:-9]
    folder = layout(tmp_path / "layout", (FIRST,), (blob,))
    with pytest.raises(StackFailed, match=digest(blob)[7:] + " of layout: its gzip data is broken"):
        _read(folder, tmp_path)


def test_a_layer_that_is_known_is_not_taken_for_another_ones_content(tmp_path):
    """Else an archive could name a layer that was found good, and hold any other."""
    other = tar({"x": b"1", "usr/bin/python": b"x" * 3000})
    assert len(other) == len(FIRST)
    blob = saved(LAYERS)
    _read(_file(tmp_path, blob), tmp_path)
    forged = _file(tmp_path, blob.replace(FIRST, other), "forged.tar")
    with pytest.raises(StackFailed, match=f"{digest(FIRST)} is damaged"):
        _read(forged, tmp_path)
    folder = layout(tmp_path / "layout", LAYERS)
    _blob(folder, FIRST).write_bytes(other)
    with pytest.raises(StackFailed, match=f"{digest(FIRST)} is damaged"):
        _read(folder, tmp_path)


def test_an_old_engines_configuration_has_the_digest_that_it_is_named_by(tmp_path):
    text = json.dumps(config((FIRST,))).encode()
    name = f"{digest(text)[7:]}.json"
    manifest = _json("manifest.json", [{"Config": name, "Layers": ["0/layer.tar"]}])
    good = tar({"0/layer.tar": FIRST, name: text} | manifest)
    assert len(_read(_file(tmp_path, good), tmp_path).layers) == 1
    with pytest.raises(StackFailed, match="is damaged"):
        _read(_file(tmp_path, good.replace(b"10001", b"00000")), tmp_path)


@pytest.mark.parametrize(("bound", "most"), [("LAYERS", 2), ("ENTRIES", 2)])
def test_an_image_has_layers_and_entries_to_a_bound(tmp_path, monkeypatch, bound, most):
    monkeypatch.setattr(archive, bound, most)
    with pytest.raises(StackFailed, match="more than"):
        _read(_file(tmp_path, saved(LAYERS)), tmp_path)


def test_nothing_is_written_but_the_cache(tmp_path):
    entries = {"../../outside": b"x", "/absolute": b"x", "l": member("l", tarfile.SYMTYPE)}
    path = _file(tmp_path, saved((tar(entries),)))
    before = set(tmp_path.iterdir())
    _read(path, tmp_path)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "cache"}
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".json"}


def test_documents_without_end_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "DOCUMENTS_BYTES", 10_000)
    many = {f"{number}.json": b'{"x": "' + b"y" * 3000 + b'"}' for number in range(4)}
    with pytest.raises(StackFailed, match="documents have more than"):
        _read(_file(tmp_path, tar(many)), tmp_path)


# --- an engine that is not there


class _Engine:
    """An engine with some images; it counts what is saved, and what it was asked."""

    def __init__(self, **images: Sequence[bytes]) -> None:
        self.images = images
        self.saved: list[list[str]] = []
        self.asked: list[str] = []
        self.config: Any = config

    def image(self, reference: str) -> object:
        return SimpleNamespace() if reference in self.images else None

    def _text(self, name: str) -> bytes:
        return json.dumps(self.config(self.images[name], config={"User": name})).encode()

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        self.asked.append("inspect")
        if missing := [name for name in names if name not in self.images]:
            raise StackFailed("inspecting", f"no such image: {missing}")
        return [
            {
                "Id": digest(self._text(name)),
                "RepoTags": [f"{name}:1"],
                "RootFS": {"Layers": [digest(blob) for blob in self.images[name]]},
            }
            for name in names
        ]

    def history(self, reference: str) -> list[str]:
        self.asked.append("history")
        return [f"COPY {n} / # buildkit" for n in range(len(self.images[reference]))]

    def save(self, references: Sequence[str]) -> Iterator[bytes]:
        self.saved.append(list(references))
        blobs = {_at(blob): blob for name in references for blob in self.images[name]}
        texts = {name: self._text(name) for name in references}
        manifest = [{"Config": _at(t), "RepoTags": [f"{n}:1"]} for n, t in texts.items()]
        blobs |= {_at(text): text for text in texts.values()}
        yield tar(blobs | _json("manifest.json", manifest))


def _at(blob: bytes) -> str:
    return f"blobs/{digest(blob).replace(':', '/')}"


def _ask(engine: Any, folder: Path, *names: str) -> dict[str, ImageFacts | None]:
    return read_images(engine, names, folder / "cache")


def test_an_image_that_is_not_there_has_no_facts(tmp_path):
    assert _ask(_Engine(), tmp_path, "none") == {"none": None}
    found = _ask(_Engine(api=LAYERS), tmp_path, "none", "api")
    assert found["none"] is None
    assert found["api"] is not None


def test_an_image_without_layers_is_an_image(tmp_path):
    engine = _Engine(api=())
    engine.inspect = lambda *_: [{"Id": "sha256:" + "0" * 64, "RootFS": {"Type": "layers"}}]
    facts = _ask(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert (facts.layers, facts.size, engine.saved) == ((), 0, [])


def test_a_configuration_without_history_is_no_hindrance(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.config = lambda layers, **changes: config(layers, **changes) | {"history": 7}
    facts = _ask(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert engine.asked == ["inspect", "history"]
    assert facts.history[0] == "COPY 0 /"


def test_layers_may_be_packed_as_containerds_store_saves_them(tmp_path):
    engine = _Engine(api=LAYERS)

    def save(_: object) -> Iterator[bytes]:
        yield tar({_at(p): p for p in map(gzip.compress, LAYERS)})

    engine.save = save
    facts = _ask(engine, tmp_path, "api")["api"]
    assert facts is not None
    assert _seen(facts) == WANTED
    assert engine.asked == ["inspect", "history"]


def test_what_a_reader_does_not_want_is_not_saved_to_the_end(tmp_path):
    engine = _Engine(api=LAYERS)
    ended = []

    def save(_: object) -> Iterator[bytes]:
        try:
            while True:
                yield b"no tar" * 1000
        finally:
            ended.append(True)

    engine.save = save
    with pytest.raises(StackFailed):
        _ask(engine, tmp_path, "api")
    assert ended


def test_images_are_saved_in_one_stream_and_then_come_from_the_cache(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST, SECOND))
    first = _ask(engine, tmp_path, "api", "worker")
    assert engine.asked == ["inspect"]  # what made the layers was in the stream
    assert _ask(engine, tmp_path, "api", "worker") == first
    assert engine.saved == [["api", "worker"]]
    assert engine.asked == ["inspect"] * 2
    assert first["api"] is not None
    assert _seen(first["api"]) == WANTED


def test_only_an_image_with_a_layer_that_is_not_known_is_saved(tmp_path):
    engine = _Engine(api=LAYERS, worker=(FIRST,), third=(FIRST, tar({"new": b""})))
    _ask(engine, tmp_path, "api")
    _ask(engine, tmp_path, "api", "worker", "third")
    assert engine.saved == [["api"], ["third"]]


def test_a_damaged_cache_is_read_anew(tmp_path):
    engine = _Engine(api=LAYERS)
    first = _ask(engine, tmp_path, "api")
    path = cache.place(tmp_path / "cache", digest(EMPTY))
    assert path is not None
    path.write_text("{")
    assert _ask(engine, tmp_path, "api") == first
    assert len(engine.saved) == 2


def test_a_layer_that_the_engine_does_not_give_is_an_error(tmp_path):
    engine = _Engine(api=LAYERS)
    engine.save = lambda _: (blob for blob in [tar({"blobs/sha256/x": FIRST})])
    with pytest.raises(StackFailed, match=f"did not give .*{digest(SECOND)}"):
        _ask(engine, tmp_path, "api")
