"""Lock files of Python and npm packages."""

from __future__ import annotations

import json

import pytest

from imageproof.errors import ContractError
from imageproof.project.lock_files import parse_npm_lock, parse_python_lock

LOCK = """\
# made by a tool
--index-url https://packages.invalid/
Ice_Cream[sprinkles]==3.0 \\
    --hash=sha256:00
    # via shop
numpy==1.26.4 ; python_version < "3.12"
numpy==2.1.0 ; python_version >= "3.12"
colorama==0.4.6;sys_platform == "win32"
spam == 1.0
"""
NPM_LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop", "version": "1.0.0"},
        "node_modules/blink": {"version": "1.0.0"},
        "node_modules/@me/x": {"version": "2.0.0"},
        "node_modules/@me/x/node_modules/blink": {"version": "0.9.0"},
        "node_modules/alias": {"name": "real", "version": "3.0.0"},
        "node_modules/linked": {"link": True},
    },
}


def test_lock_file_gives_all_versions_and_the_conditional_packages():
    versions, conditional = parse_python_lock(LOCK, "lock")
    assert versions == {
        "ice-cream": ("3.0",),
        "numpy": ("1.26.4", "2.1.0"),
        "colorama": ("0.4.6",),
        "spam": ("1.0",),
    }
    assert conditional == {"numpy", "colorama"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "--index-url https://x.invalid/\n"])
def test_lock_file_without_packages_is_valid(text):
    assert parse_python_lock(text, "lock") == ({}, frozenset())


@pytest.mark.parametrize("text", ["[[package]]\nname = 'x'\n", "spam>=1\n", "{}"])
def test_lock_file_of_another_format_is_refused_with_its_key(text):
    with pytest.raises(ContractError, match=r"tool\.imageproof\.images\.shop\.lock"):
        parse_python_lock(text, "tool.imageproof.images.shop.lock")


def test_npm_lock_file_gives_all_versions_by_real_name():
    assert parse_npm_lock(json.dumps(NPM_LOCK), "npm_lock") == {
        "blink": ("0.9.0", "1.0.0"),
        "@me/x": ("2.0.0",),
        "real": ("3.0.0",),
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"packages": []}', '{"packages": {"a": 1}}'])
def test_npm_lock_file_of_another_format_is_refused(text):
    with pytest.raises(ContractError, match="npm_lock: invalid package-lock"):
        parse_npm_lock(text, "npm_lock")
