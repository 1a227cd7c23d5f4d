"""The contract: defaults, and errors that name the wrong key."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.contract import Contract, load
from imageproof.errors import ContractError, ImageproofError, UsageError
from tests.support.sample_facts import contract, service_contract

# The refused contracts below differ from it in one thing.
GOOD = """
[tool.imageproof.images.shop]
service = "shop"
size = "10MB"
user = "10001:10001"
command = ["python", "-m", "shop"]
writable = ["/tmp"]
health = { path = "/health", port = 8000, notices_within = 45 }
programs.python = { answers = '^Python 3' }
"""


def _load(folder: Path, text: str | bytes) -> Contract:
    (folder / "pyproject.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(folder)


def _refused(folder: Path, text: str | bytes) -> ContractError:
    with pytest.raises(ImageproofError) as caught:
        _load(folder, text)
    assert isinstance(caught.value, ContractError)
    assert caught.value.status == 2
    assert "pyproject.toml" in caught.value.action
    return caught.value


def test_valid_contract_is_loaded_with_defaults(tmp_path):
    image = _load(tmp_path, GOOD).images["shop"]
    assert image.size == 10_000_000
    assert image.health.ready_within == 60
    assert image.programs["python"].arguments == ("--version",)


IMAGE = "tool.imageproof.images.shop"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('size = "10MB"', 'size = "10MB"\nsiez = 3', f"{IMAGE}.siez"),
        ('size = "10MB"', 'size = "big"', f"{IMAGE}.size"),
        ('size = "10MB"', 'size = "10 bananas"', f"{IMAGE}.size"),
        ('size = "10MB"', "", f"{IMAGE}.size"),
        ('user = "10001:10001"', 'user = "0:0"', f"{IMAGE}.user"),
        ('user = "10001:10001"', 'user = "10001:0"', f"{IMAGE}.user"),
        ('user = "10001:10001"', 'user = "0:10001"', f"{IMAGE}.user"),
        ('user = "10001:10001"', 'user = "010:010"', f"{IMAGE}.user"),
        ('user = "10001:10001"', 'user = "10001"', f"{IMAGE}.user"),
        ('user = "10001:10001"', 'user = "app:app"', f"{IMAGE}.user"),
        ('user = "10001:10001"', "user = 10001", f"{IMAGE}.user"),
        ('writable = ["/tmp"]', 'writable = ["tmp"]', f"{IMAGE}.writable"),
        ('writable = ["/tmp"]', 'writable = ["/tmp", "./x"]', f"{IMAGE}.writable"),
        ('writable = ["/tmp"]', 'writable = "/tmp"', f"{IMAGE}.writable"),
        ('command = ["python", "-m", "shop"]', "command = []", f"{IMAGE}.command"),
        ('command = ["python", "-m", "shop"]', 'command = "python"', f"{IMAGE}.command"),
        ("port = 8000", "port = 70000", f"{IMAGE}.health.port"),
        ("port = 8000", 'port = "http"', f"{IMAGE}.health.port"),
        ('path = "/health"', 'path = "health"', f"{IMAGE}.health.path"),
        ("notices_within = 45", "notices_within = 0", f"{IMAGE}.health.notices_within"),
        ("notices_within = 45", "notice_within = 45", f"{IMAGE}.health.notice"),
        ("answers =", "answer =", f"{IMAGE}.programs.python.answer"),
        ('service = "shop"', 'service = "shop"\nstop_timeout = -1', f"{IMAGE}.stop_timeout"),
        ('service = "shop"', 'service = "shop"\nports = [0]', f"{IMAGE}.ports.0"),
        (
            'service = "shop"',
            'service = "shop"\nwaivers = { "size.budget" = "no" }',
            f"{IMAGE}.waivers.size.budget",
        ),
        (
            'service = "shop"',
            'service = "shop"\nenvironment = { settings = "shop.Settings" }',
            f"{IMAGE}.environment.settings",
        ),
        (
            "[tool.imageproof.images.shop]",
            "[tool.imageproof]\nnoise = 1\n[tool.imageproof.images.shop]",
            "imageproof.noise",
        ),
        (
            "[tool.imageproof.images.shop]",
            "[tool.imageproof.base]\nimages = 1\n[tool.imageproof.images.shop]",
            "imageproof.base.images",
        ),
    ],
)
def test_wrong_key_or_value_is_refused_with_its_key(tmp_path, old, new, key):
    assert old in GOOD
    error = _refused(tmp_path, GOOD.replace(old, new))
    assert key in error.cause


def test_invalid_regular_expression_is_refused_with_its_key(tmp_path):
    error = _refused(tmp_path, GOOD.replace("'^Python 3'", "'^Python (3'"))
    assert f"{IMAGE}.programs.python.answers" in error.cause


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table [tool.imageproof]"),
        ("[tool.ruff]\nline-length = 100\n", "no table [tool.imageproof]"),
        ("tool = 3\n", "no table [tool.imageproof]"),
        ("[tool]\nimageproof = 3\n", "no table [tool.imageproof]"),
        ("[tool.imageproof]\n", "tool.imageproof.images"),
        ("[tool.imageproof]\nimages = {}\n", "tool.imageproof.images"),
        ("[tool.imageproof\n", "invalid TOML"),
        ("x = " + "[" * 100_000, "invalid TOML"),
        (b"\xff\xfe[tool.imageproof]", "invalid TOML"),
    ],
)
def test_file_without_a_contract_is_refused(tmp_path, text, message):
    assert message in _refused(tmp_path, text).cause


def test_missing_file_is_refused_with_its_folder(tmp_path):
    with pytest.raises(ContractError, match="there is no pyproject") as caught:
        load(tmp_path)
    assert str(tmp_path) in caught.value.cause


def test_all_problems_are_reported(tmp_path):
    error = _refused(tmp_path, GOOD.replace("10MB", "big").replace("10001:10001", "0:0"))
    text = "\n".join([error.cause, *error.tail])
    assert f"{IMAGE}.size" in text
    assert f"{IMAGE}.user" in text


def test_contract_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        service_contract().user = "0:0"


def test_select_without_a_name_returns_all_images():
    both = contract(images={"a": service_contract(), "b": service_contract()})
    assert list(both.select(None)) == ["a", "b"]
    assert list(both.select("b")) == ["b"]


def test_select_refuses_an_unknown_image_and_lists_the_known():
    with pytest.raises(UsageError, match="'c'") as caught:
        contract(images={"a": service_contract(), "b": service_contract()}).select("c")
    assert caught.value.status == 2
    assert "a, b" in (caught.value.hint or "")
