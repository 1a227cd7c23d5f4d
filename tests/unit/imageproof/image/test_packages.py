"""Packages of an image, and the owners of its files."""

from __future__ import annotations

import json

import pytest

from imageproof.image.facts import ImageFacts, Layer, Package
from imageproof.image.layers import read_layer
from imageproof.image.package_owners import owned_bytes, package_owners
from imageproof.image.packages import max_record_bytes
from tests.support.archives import member, tar
from tests.support.sample_facts import image

DPKG = b"""Package: libc6
Status: install ok installed
Version: 2.36-9
Description: C library
 with more lines
 Package: not this one

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: half
Status: purge ok not-installed
"""
SITE = "opt/venv/lib/python3.11/site-packages"
METADATA = b"Metadata-Version: 2.1\nName: Left_Pad\nVersion: 1.0\n\nName: not this one\n"
RECORD = (
    b"left_pad/__init__.py,sha256=x,10\nleft_pad-1.0.dist-info/METADATA,,\n../../../bin/pad,,\n"
)


def _layer(entries: dict) -> Layer:
    return read_layer(iter([tar(entries)]))


def _packages(entries: dict) -> list[tuple[str, str, str]]:
    return [(p.kind, p.name, p.version) for p in _layer(entries).packages]


def test_dpkg_status_gives_installed_packages():
    assert _packages({"var/lib/dpkg/status": DPKG}) == [("dpkg", "libc6", "2.36-9")]


def test_dpkg_status_folder_of_distroless_is_read():
    packages = _layer(
        {
            "var/lib/dpkg/status.d/libc6": b"Package: libc6\nVersion: 2.36-9\n",
            "var/lib/dpkg/status.d/libc6.md5sums": b"0" * 32 + b"  usr/lib/libc.so.6\n",
        }
    ).packages
    record = "var/lib/dpkg/status.d/libc6"
    assert packages == (Package("dpkg", "libc6", "2.36-9", record, ("usr/lib/libc.so.6",)),)


def test_apk_database_is_read():
    text = b"C:Q1\nP:musl\nV:1.2.5-r0\nF:lib\nR:ld-musl.so.1\n\nP:zlib\nV:1.3\n"
    packages = _layer({"lib/apk/db/installed": text}).packages
    assert [(p.name, p.version, p.owns) for p in packages] == [
        ("musl", "1.2.5-r0", ("lib/ld-musl.so.1",)),
        ("zlib", "1.3", ()),
    ]


@pytest.mark.parametrize("folder", ["left_pad-1.0.dist-info/METADATA", "x.egg-info/PKG-INFO"])
def test_python_metadata_is_read(folder):
    assert _packages({f"{SITE}/{folder}": METADATA}) == [("python", "Left_Pad", "1.0")]


def test_nested_npm_packages_are_read():
    plain = json.dumps({"name": "left-pad", "version": "1.3.0"}).encode()
    scoped = json.dumps({"name": "@a/b", "version": "2.0.0"}).encode()
    packages = _packages(
        {
            "app/node_modules/left-pad/package.json": plain,
            "app/node_modules/@a/b/package.json": scoped,
            "app/node_modules/@a/b/node_modules/left-pad/package.json": plain,
        }
    )
    assert packages == [
        ("npm", "@a/b", "2.0.0"),
        ("npm", "left-pad", "1.3.0"),
        ("npm", "left-pad", "1.3.0"),
    ]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/package.json", b'{"name": "app", "version": "1"}'),
        ("app/node_modules/x/test/fixtures/package.json", b'{"name": "y", "version": "1"}'),
        ("app/node_modules/x/test/node_modules/y/package.json", b'{"name": "y", "version": "1"}'),
        ("app/node_modules/@a/package.json", b'{"name": "y", "version": "1"}'),
        ("app/node_modules/x/package.json", b'{"type": "module"}'),
        ("app/node_modules/x/package.json", b"{"),
        ("app/node_modules/x/package.json", b"[" * 100_000),
        ("app/node_modules/x/package.json", b'{"name": 7, "version": []}'),
        ("app/METADATA", METADATA),
        (f"{SITE}/x.dist-info/METADATA", b"no fields"),
        ("var/lib/dpkg/status-old", DPKG),
        ("srv/var/lib/dpkg/status", DPKG),
    ],
)
def test_other_files_give_no_package(path, content):
    assert _packages({path: content}) == []


@pytest.mark.parametrize(
    "path",
    [
        "node_modules/a/package.json",
        "srv/shop/node_modules/a/node_modules/@s/b/package.json",
        "srv/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json",
    ],
)
def test_npm_package_roots_are_recognized(path):
    assert _packages({path: b'{"name": "a", "version": "1"}'}) == [("npm", "a", "1")]


def test_package_of_two_architectures_owns_the_files_of_both():
    lists = {
        "var/lib/dpkg/info/libc6:amd64.list": b"/lib/a\n",
        "var/lib/dpkg/info/libc6:i386.list": b"/lib/b\n",
    }
    (package,) = _layer({"var/lib/dpkg/status": DPKG} | lists).packages
    assert package.owns == ("lib/a", "lib/b")


EVIL = "\\u001b[2J\\ud800" + "x" * 1000


def test_names_are_printable_and_short():
    npm = f'{{"name": "{EVIL}", "version": "1\\n2"}}'.encode()
    dpkg_package, npm_package, python_package = _packages(
        {
            "node_modules/x/package.json": npm,
            "var/lib/dpkg/status.d/x": b"Package: a\x1b[2J\nVersion: 1\x1b\n",
            f"{SITE}/x.dist-info/METADATA": b"Name: a\x07b\nVersion: 1\n\n",
        }
    )
    assert dpkg_package == ("dpkg", r"a\x1b[2J", r"1\x1b")
    assert python_package == ("python", r"a\x07b", "1")
    _, name, version = npm_package
    assert name.startswith(r"\x1b[2J\ud800xxx")
    assert (len(name), version) == (256, r"1\n2")


def test_metadata_with_a_long_description_is_read():
    assert _packages({f"{SITE}/x.dist-info/METADATA": METADATA + b"x" * 200_000}) == [
        ("python", "Left_Pad", "1.0")
    ]


def test_invalid_utf8_in_a_record_is_read():
    text = b"Package: \xff\xfe\nStatus: install ok installed\nVersion: 1\n"
    assert len(_packages({"var/lib/dpkg/status": text})) == 1


def test_only_package_records_are_read():
    assert max_record_bytes("var/lib/dpkg/info/libc6:amd64.list")
    assert not max_record_bytes("var/lib/dpkg/info/libc6.postinst")
    assert not max_record_bytes("usr/share/doc/METADATA")


# --- owners


def _image(*layers: dict) -> ImageFacts:
    return image(layers=tuple(map(_layer, layers)))


def _owners(facts: ImageFacts) -> dict[str, str]:
    return {path: package.name for path, package in package_owners(facts).items()}


def test_python_package_owns_its_recorded_files_and_their_bytecode():
    pyc = f"{SITE}/left_pad/__pycache__/__init__.cpython-311.pyc"
    facts = _image(
        {
            f"{SITE}/left_pad/__init__.py": b"x" * 10,
            f"{SITE}/left_pad/extra.txt": b"",
            pyc: b"y" * 5,
            "opt/venv/bin/pad": b"z",
            f"{SITE}/left_pad-1.0.dist-info/METADATA": METADATA,
            f"{SITE}/left_pad-1.0.dist-info/RECORD": RECORD,
        }
    )
    assert f"{SITE}/left_pad/extra.txt" not in _owners(facts)
    assert {pyc, "opt/venv/bin/pad", f"{SITE}/left_pad/__init__.py"} <= _owners(facts).keys()
    assert owned_bytes(facts) == {("python", "Left_Pad"): 10 + 5 + 1 + len(METADATA)}


def test_bytecode_belongs_to_the_dpkg_package_of_its_module():
    folder = "usr/lib/python3.11"
    facts = _image(
        {
            f"{folder}/os.py": b"x" * 10,
            f"{folder}/__pycache__/os.cpython-311.pyc": b"y" * 7,
            f"{folder}/__pycache__/own.cpython-311.pyc": b"z",
            "var/lib/dpkg/status.d/libpython": b"Package: libpython\nVersion: 3\n",
            "var/lib/dpkg/status.d/libpython.md5sums": f"{'0' * 32}  {folder}/os.py\n".encode(),
        }
    )
    assert owned_bytes(facts) == {("dpkg", "libpython"): 17}


def test_nested_npm_package_owns_its_own_files():
    inner = json.dumps({"name": "inner", "version": "1"}).encode()
    outer = json.dumps({"name": "outer", "version": "1"}).encode()
    facts = _image(
        {
            "node_modules/outer/package.json": outer,
            "node_modules/outer/a.js": b"1",
            "node_modules/outer/node_modules/inner/package.json": inner,
            "node_modules/outer/node_modules/inner/b.js": b"22",
        }
    )
    assert _owners(facts)["node_modules/outer/a.js"] == "outer"
    assert _owners(facts)["node_modules/outer/node_modules/inner/b.js"] == "inner"


def test_dpkg_paths_follow_a_merged_usr():
    facts = _image(
        {
            "bin": member("bin", b"2", linkname="usr/bin"),
            "usr/bin/sh": b"x",
            "var/lib/dpkg/status": DPKG,
            "var/lib/dpkg/info/libc6:amd64.list": b"/.\n/bin\n/bin/sh\n",
        }
    )
    assert _owners(facts)["usr/bin/sh"] == "libc6"


def test_later_dpkg_status_keeps_earlier_file_lists():
    lists = {"var/lib/dpkg/info/libc6.list": b"/usr/lib/libc.so.6\n", "usr/lib/libc.so.6": b"x"}
    facts = _image({"var/lib/dpkg/status": DPKG} | lists, {"var/lib/dpkg/status": DPKG + b"\n"})
    assert _owners(facts)["usr/lib/libc.so.6"] == "libc6"


def test_removed_file_has_no_owner():
    lists = {"var/lib/dpkg/info/libc6.list": b"/usr/lib/libc.so.6\n", "usr/lib/libc.so.6": b"x"}
    facts = _image({"var/lib/dpkg/status": DPKG} | lists, {"usr/lib/.wh.libc.so.6": b""})
    assert "usr/lib/libc.so.6" not in _owners(facts)


def test_dpkg_source_package_is_read():
    text = b"Package: libssl3\nStatus: install ok installed\nSource: openssl (3.0.1)\nVersion: 3\n"
    status = _layer({"var/lib/dpkg/status": text}).packages
    folder = _layer({"var/lib/dpkg/status.d/libssl3": text}).packages
    assert [package.source for package in (*status, *folder)] == ["openssl", "openssl"]
    assert [p.source for p in _layer({"var/lib/dpkg/status": DPKG}).packages] == [""]
