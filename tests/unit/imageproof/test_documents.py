"""Tests of files and JSON beyond a bound: one clean error, in no time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from imageproof.contract import load
from imageproof.docker.environment import compose_variable, compose_variables
from imageproof.documents import MAX_DEPTH, MAX_FILE_BYTES, parse_json, read_text
from imageproof.errors import ContractError, ImageproofError, UsageError
from imageproof.project.env_vars import read_env_example
from imageproof.project.lock_files import parse_npm_lock, read_lock_text
from imageproof.project.size_baseline import read_baselines
from imageproof.release import manifest
from tests.support.sample_facts import contract


@pytest.mark.parametrize("depth", [MAX_DEPTH, 1])
def test_nested_json_is_parsed_up_to_the_bound(depth):
    assert parse_json("[" * depth + "]" * depth) is not None


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_json_nested_too_deep_is_invalid(depth, begin, end):
    with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} deep"):
        parse_json(begin * depth + "1" + end * depth)


def test_wide_json_is_parsed():
    assert len(parse_json("[" + "[1]," * 100_000 + "1]")) == 100_001


def test_crlf_and_utf8_are_read(tmp_path):
    (tmp_path / "file").write_bytes("ä\r\nb".encode())
    assert read_text(tmp_path / "file") == "ä\nb"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


READERS: dict[str, Callable[[Path], object]] = {
    "pyproject.toml": load,
    "lock": lambda root: read_lock_text(root / "lock", "tool.imageproof.images.shop.lock"),
    ".env.example": lambda root: read_env_example(root / ".env.example"),
    "sizes": lambda root: read_baselines(contract(root=root, baseline="sizes")),
}
CASES = [
    (spoil, name)
    for spoil in (_pipe, _device, _folder, _binary, _huge)
    for name in READERS
    if name != "sizes" or spoil in (_binary, _huge)  # others count as a missing file
]


@pytest.mark.parametrize(("spoil", "name"), CASES)
def test_file_that_is_no_text_file_is_a_usage_error(tmp_path, spoil: Callable[[Path], None], name):
    spoil(tmp_path / name)
    with pytest.raises(UsageError) as caught:
        READERS[name](tmp_path)
    assert name in f"{caught.value}"
    assert caught.value.status == 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a = " + "[" * 100_000 + "]" * 100_000, "nested too deep"),
        ("a = " + "[" * 300 + "]" * 300, "nested more than 100 deep"),
        ("a = " + "{a = " * 1000 + "1" + "}" * 1000, "nested too deep"),
        ("x = 1\na" + ".a" * 50_000 + " = 1", "line 2 has a key of more than 200 parts"),
        ("[a" + ".a" * 50_000 + "]", "line 1 has a key of more than 200 parts"),
        ("['a'" + ".'a'" * 50_000 + "]", "line 1 has a key of more than 200 parts"),
        ("a" + ".a" * 150 + " = 1", "nested more than 100 deep"),
        ("#" * (MAX_FILE_BYTES + 1), "more than 1,048,576 bytes"),
    ],
    ids=lambda text: text[:20],
)
def test_contract_beyond_a_bound_is_a_contract_error(tmp_path, text, cause):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ContractError, match=cause) as caught:
        load(tmp_path)
    assert "pyproject.toml" in str(caught.value)


@pytest.mark.parametrize("line", ["a = [" + "1.5, " * 1000 + "]", "a = '" + "a.b " * 1000 + "'"])
def test_dots_outside_keys_are_allowed(tmp_path, line):
    (tmp_path / "pyproject.toml").write_text(line)
    with pytest.raises(ContractError, match=r"no table \[tool.imageproof\]"):
        load(tmp_path)


def test_package_lock_nested_too_deep_is_a_contract_error():
    with pytest.raises(ContractError, match=r"shop.npm_lock: invalid package-lock.json: .* deep"):
        parse_npm_lock('{"packages": ' + "[" * 100_000, "tool.imageproof.images.shop.npm_lock")


def test_release_nested_too_deep_is_a_usage_error(tmp_path):
    (tmp_path / "release.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="deep"):
        manifest.load(tmp_path / "release.json")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("A=" + "${A:-" * 2000, "refer to other variables more than 1,000 times"),
        ("A=" + "x" * (1 << 18), "more than 262,144 bytes"),
        ("A='" + "\n" * (1 << 18), "more than 262,144 bytes"),
    ],
)
def test_env_file_beyond_a_bound_is_a_configuration_error(tmp_path, text, cause):
    (tmp_path / ".env").write_text(text)
    for read in (
        lambda: compose_variable(tmp_path, "A_OF_TEST"),
        lambda: compose_variables(tmp_path),
    ):
        with pytest.raises(ImageproofError, match=cause) as caught:
            read()
        assert caught.value.status == 2
        assert ".env" in caught.value.action
