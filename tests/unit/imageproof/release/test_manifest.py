"""imageproof.release.manifest: what is written is read again, and nothing else is."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from imageproof.errors import UsageError
from imageproof.release import manifest
from imageproof.release.manifest import Base, Judged, Release, Released

ONE, TWO, THREE = (f"sha256:{character * 64}" for character in "abc")


def made(**changes: object) -> Release:
    good = Release(
        created=datetime(2026, 11, 25, 8, 30, tzinfo=UTC),
        revision="0" * 40,
        base=Base(reference="python:3.11-slim", digest=THREE),
        locks={"locks/api.txt": TWO},
        images={
            "api": Released(
                reference="registry.test:5000/gate/api:1.0",
                digest=ONE,
                contract=Judged(digest=TWO, passed=40, waived=1, warning=2, not_run=9),
            )
        },
    )
    return good.model_copy(update=changes)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sub/release.json"


def test_a_release_is_read_as_it_was_written(file):
    manifest.write(made(), file)
    assert manifest.load(file) == made()
    document = json.loads(file.read_text())
    assert document["schema"] == 1
    assert document["created"] == "2026-11-25T08:30:00Z"
    assert document["images"]["api"]["contract"] == {
        "digest": TWO,
        "pass": 40,
        "waived": 1,
        "warning": 2,
        "not_run": 9,
    }


def test_what_is_deployed_is_named_by_digest_and_never_by_tag():
    assert made().images["api"].pinned == f"registry.test:5000/gate/api@{ONE}"


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("created", "created", "2026-11-25T08:30:00"),  # of which zone
        ("schema", "schema", 2),
        ("base.digest", ("base", "digest"), "sha256:0"),
        ("locks.locks/api.txt", ("locks", "locks/api.txt"), "md5:0"),
        ("images.api.digest", ("images", "api", "digest"), ""),
        ("images.api.reference", ("images", "api", "reference"), "api:1"),
        ("images.api.reference", ("images", "api", "reference"), "registry.test/api"),
        ("images.api.reference", ("images", "api", "reference"), f"registry.test/api@{ONE}"),
        ("images.api.contract.pass", ("images", "api", "contract", "pass"), -1),
        ("images.api.contract.fail", ("images", "api", "contract", "fail"), 1),
        ("images", "images", {}),
        ("tag", "tag", "1.0"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(file, place, key, value):
    manifest.write(made(), file)
    document = json.loads(file.read_text())
    *folders, last = [key] if isinstance(key, str) else key
    table = document
    for folder in folders:
        table = table[folder]
    table[last] = value
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError) as caught:
        manifest.load(file)
    assert caught.value.cause.startswith(f"{place}: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"', "[" * 100_000, '{"a": 1}' * 200_000])
def test_what_is_no_release_is_refused(file, text):
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(UsageError):
        manifest.load(file)


def test_a_file_that_is_not_there_or_cannot_be_is_a_wrong_command_line(file, tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        manifest.load(file)
    (tmp_path / "sub").write_text("a file, no folder")
    with pytest.raises(UsageError, match="writing the release"):
        manifest.write(made(), file)
