"""Bill of materials: valid CycloneDX, with package URLs that scanners know."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from imageproof.image.facts import Layer, Package
from imageproof.report.sbom import as_cyclonedx
from tests.support.sample_facts import image

RELEASE = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
PACKAGES = (
    Package("dpkg", "libssl3", "3.0.17-1~deb12u2", "var/lib/dpkg/status.d/libssl3", (), "openssl"),
    Package("dpkg", "zlib1g", "1:1.2.13", "var/lib/dpkg/status.d/zlib1g"),
    Package("python", "typing_extensions", "4.12", "site/typing_extensions.dist-info/METADATA"),
    Package("npm", "pacote", "20.0.1", "a/node_modules/pacote/package.json"),
    Package("npm", "@npmcli/fs", "4.0.0", "a/node_modules/@npmcli/fs/package.json"),
    Package("npm", "pacote", "20.0.1", "b/node_modules/pacote/package.json"),
)


@pytest.fixture
def bill():
    first = image().layers[0]
    paths = ("etc/os-release", *(package.record for package in PACKAGES))
    files = tuple(replace(first.files[0], path=path) for path in paths)
    layer = replace(
        first, packages=PACKAGES, texts={"etc/os-release": RELEASE}, files=first.files + files
    )
    return json.loads(as_cyclonedx("shop", replace(image(), layers=(layer,))))


def test_bill_is_valid_by_the_cyclonedx_schema():
    text = as_cyclonedx("shop", image())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_each_package_has_a_package_url(bill):
    urls = {c["bom-ref"]: c.get("purl") for c in bill["components"]}
    assert sorted(filter(None, urls.values())) == sorted(
        [
            "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?distro=debian-12&upstream=openssl",
            "pkg:deb/debian/zlib1g@1:1.2.13?distro=debian-12",
            "pkg:pypi/typing-extensions@4.12",
            "pkg:npm/pacote@20.0.1",
            "pkg:npm/%40npmcli/fs@4.0.0",
            "pkg:npm/pacote@20.0.1",
        ]
    )


def test_each_package_names_its_record_and_layer(bill):
    places = {
        tuple(sorted((p["name"], p["value"]) for p in c["properties"]))
        for c in bill["components"]
        if c["name"] == "pacote"
    }
    layer = image().layers[0].diff_id
    assert places == {
        (
            ("imageproof:layer", layer),
            ("imageproof:record", f"{place}/node_modules/pacote/package.json"),
        )
        for place in "ab"
    }


def test_distribution_is_a_component(bill):
    (system,) = [c for c in bill["components"] if c["type"] == "operating-system"]
    assert (system["name"], system["version"]) == ("debian", "12")


def test_serial_number_depends_on_the_image_only():
    first, again = (json.loads(as_cyclonedx("shop", image())) for _ in range(2))
    about = first["metadata"]["component"]
    assert (about["name"], about["version"]) == ("shop", image().identity)
    assert first["serialNumber"] == again["serialNumber"]
    other = json.loads(as_cyclonedx("shop", replace(image(), identity="sha256:" + "e" * 64)))
    assert other["serialNumber"] != first["serialNumber"]


def test_image_without_packages_has_a_bill():
    bare = replace(image(), layers=(Layer("sha256:" + "a" * 64, 0, ()),))
    assert "components" not in json.loads(as_cyclonedx("shop", bare))
