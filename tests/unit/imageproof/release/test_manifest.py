"""Tests of reading and writing the release file."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from imageproof.errors import UsageError
from imageproof.release import manifest
from imageproof.release.manifest import Base, ContractResult, Release, ReleasedImage

ONE, TWO, THREE = (f"sha256:{character * 64}" for character in "abc")


def release(**changes: object) -> Release:
    valid = Release(
        created=datetime(2026, 11, 25, 8, 30, tzinfo=UTC),
        revision="0" * 40,
        base=Base(reference="python:3.11-slim", digest=THREE),
        locks={"locks/api.txt": TWO},
        images={
            "api": ReleasedImage(
                reference="registry.test:5000/gate/api:1.0",
                digest=ONE,
                contract=ContractResult(digest=TWO, passed=40, waived=1, warning=2, not_run=9),
            )
        },
    )
    return valid.model_copy(update=changes)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sub/release.json"


def test_written_release_is_read_back(file):
    manifest.write(release(), file)
    assert manifest.load(file) == release()
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


def test_pinned_reference_has_the_digest_and_no_tag():
    assert release().images["api"].pinned == f"registry.test:5000/gate/api@{ONE}"


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("created", "created", "2026-11-25T08:30:00"),  # without a time zone
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
def test_wrong_key_or_value_is_named_by_its_path(file, path, key, value):
    manifest.write(release(), file)
    document = json.loads(file.read_text())
    *folders, last = [key] if isinstance(key, str) else key
    table = document
    for folder in folders:
        table = table[folder]
    table[last] = value
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError) as caught:
        manifest.load(file)
    assert caught.value.cause.startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"', "[" * 100_000, '{"a": 1}' * 200_000])
def test_invalid_file_is_refused(file, text):
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(UsageError):
        manifest.load(file)


def test_unreadable_or_unwritable_file_is_a_usage_error(file, tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        manifest.load(file)
    (tmp_path / "sub").write_text("a file, no folder")
    with pytest.raises(UsageError, match="writing the release"):
        manifest.write(release(), file)
