"""Fuzzing of the image reader and the contract: valid facts or an error with a hint."""

from __future__ import annotations

import gzip
import io
import re
import string
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imageproof import contract
from imageproof.errors import ContractError, ImageproofError
from imageproof.image.archive import read_image_tar
from imageproof.image.config import facts_from_config, history_from_config
from imageproof.image.facts import ImageFacts
from imageproof.image.layers import read_layer
from imageproof.image.stream import decompress
from tests.support.archives import docker_save_tar, tar

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,  # the same examples each time
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
GOOD = tar({"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "app/x.dist-info/METADATA": b"Name: x\n"})
COMPRESSIONS = (bytes, gzip.compress, zstandard.compress)
NAMES = st.text(min_size=1, max_size=40)
KINDS = st.sampled_from([bytes([kind]) for kind in range(ord("0"), ord("8"))] + [b"L", b"x", b"S"])


def _outcome(call: Callable[[], Any]) -> Any:
    """Return the result, or the error that a user can act on; other errors fail the test."""
    try:
        return call()
    except ImageproofError as error:
        return error


def _check_layer(blob: bytes) -> None:
    """Test that the layer reader returns printable names, or an error with a hint."""
    outcome = _outcome(lambda: read_layer(decompress(blob[:8], iter([blob]))))
    if isinstance(outcome, ImageproofError):
        assert outcome.hint
        assert not CONTROL.search(str(outcome))
    else:
        names = "".join(f"{file.path}{file.target}" for file in outcome.files)
        assert not CONTROL.search(names)
        names.encode()


@QUICK
@given(st.binary(max_size=2000), st.sampled_from(COMPRESSIONS))
def test_random_bytes_are_handled(blob, compress):
    _check_layer(blob)
    _check_layer(compress(blob))


@QUICK
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.sampled_from(COMPRESSIONS))
def test_layer_with_one_changed_byte_is_handled(at, byte, compress):
    blob = bytearray(GOOD)
    blob[at] = byte
    _check_layer(compress(bytes(blob)))
    compressed = bytearray(compress(GOOD))
    compressed[at % len(compressed)] = byte
    _check_layer(bytes(compressed))


@QUICK
@given(st.integers(0, len(GOOD)), st.sampled_from(COMPRESSIONS))
def test_truncated_layer_is_handled(at, compress):
    _check_layer(compress(GOOD)[:at])


@st.composite
def _entries(draw: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(draw(NAMES))
    info.type = draw(KINDS)
    info.linkname = draw(st.one_of(st.just(""), NAMES))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid = draw(st.integers(-1, 1 << 40))
    info.mtime = draw(st.integers(-1, 1 << 40))
    info.size = draw(st.integers(0, 1 << 40))
    return info


@QUICK
@given(
    st.lists(_entries(), max_size=5),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_random_entries_are_handled(entries, kind):
    out = io.BytesIO()
    for entry in entries:
        try:
            out.write(entry.tobuf(kind, errors="surrogateescape"))
        except (ValueError, tarfile.TarError):
            continue  # this format cannot express it
        out.write(b"x" * min(entry.size, 1024))
    _check_layer(out.getvalue() + bytes(1024))


# Small: a large document takes longer to generate than to read.
TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["config", "rootfs", "history", "User", "Env", "Labels", "Healthcheck", "ExposedPorts", "Cmd"]
)


@QUICK
@given(
    st.one_of(
        JSON,
        st.dictionaries(KEYS, st.one_of(JSON, st.dictionaries(KEYS, JSON, max_size=3)), max_size=4),
    )
)
def test_random_configuration_is_handled(document):
    facts = _outcome(lambda: facts_from_config("x", "y", document, (), ()))
    if isinstance(facts, ImageproofError):
        assert facts.hint
    else:
        assert not CONTROL.search(_texts(facts))
    history = _outcome(lambda: history_from_config(document, 2))
    if isinstance(history, ImageproofError):
        assert history.hint
    else:
        assert not CONTROL.search("".join(history.instructions))


def _texts(facts: ImageFacts) -> str:
    """Return all texts of a configuration."""
    texts = [facts.user, facts.workdir, facts.stop_signal, *facts.command, *facts.entrypoint]
    tables = (facts.environment, facts.labels)
    texts += [text for table in tables for pair in table.items() for text in pair]
    texts += [*facts.ports, *facts.volumes]
    assert facts.healthcheck is None or facts.healthcheck.notices_within >= 0
    return "".join(texts)


@QUICK
@given(document=JSON)
def test_archive_with_a_random_configuration_is_refused(document, tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(docker_save_tar([GOOD], document if document is not None else 0))
    with pytest.raises(ImageproofError):
        read_image_tar(path, lambda _: None)


# --- headers that are slow, large or deep


def _deep() -> Iterator[bytes]:
    """Extended headers of extended headers, without end."""
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 0
    yield info.tobuf(tarfile.USTAR_FORMAT) * 20_000


def _long_number() -> Iterator[bytes]:
    """A PAX record whose length has a million digits (CVE-2024-6232): parsing takes 15 minutes."""
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 1 << 20
    yield info.tobuf(tarfile.USTAR_FORMAT) + b"1" * (1 << 20) + bytes(1024)


def _sparse() -> Iterator[bytes]:
    """A map with endless holes (GNU sparse 1.0)."""
    blob = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    head = tarfile.TarInfo("x")
    head.type, head.size = b"x", len(blob)
    file = tarfile.TarInfo("x")
    file.size = 1 << 40
    yield head.tobuf(tarfile.USTAR_FORMAT) + blob.ljust(512, b"\0") + file.tobuf()
    yield b"9999999999\n".ljust(512, b"1")
    for _ in range(10_000):
        yield b"1\n" * 256


@pytest.mark.timeout(60)
@pytest.mark.parametrize("header", [_deep, _long_number, _sparse])
def test_slow_or_deep_headers_are_refused_quickly(header):
    with pytest.raises(ImageproofError):
        read_layer(header())


# --- the contract

TOML = st.recursive(
    st.one_of(
        st.booleans().map(lambda value: str(value).lower()),
        st.integers(-(10**20), 10**20).map(str),
        st.text(string.ascii_letters + "/:*.^(", max_size=12).map(lambda text: f'"{text}"'),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    [*contract.ServiceContract.model_fields, *contract.Contract.model_fields, "other"]
)


@QUICK
@given(fields=st.dictionaries(FIELDS, TOML, max_size=4), text=st.text(max_size=60))
def test_random_contract_is_refused(fields, text, tmp_path):
    lines = "\n".join(f"{key} = {value}" for key, value in fields.items())
    for document in (text, f"[tool.imageproof]\n{lines}", f"[tool.imageproof.images.web]\n{lines}"):
        (tmp_path / contract.FILE).write_text(document, errors="replace")
        contract.load.cache_clear()
        with pytest.raises(ContractError) as caught:
            contract.load(Path(tmp_path))
        assert caught.value.hint
