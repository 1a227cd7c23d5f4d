"""The worker's Node with ICU data for English only, compared with Node with all ICU data.

Both run in the worker's image. For the comparison, Debian's ICU data library is mounted over the
image's own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from imageproof.build import base_image
from imageproof.build.variables import build_variables
from tests.support import npm_registry
from tests.support.commands import ROOT, clean_environment, docker
from tests.support.npm_registry import Files, Registry
from worker.npm_diff import Limits

PROBE = ROOT / "tests/e2e/icu_probe.js"
LOCALES = "console.log(Intl.DateTimeFormat.supportedLocalesOf(['de', 'en', 'ja']).join())"


@pytest.fixture(scope="module")
def full_icu(contract, engine, built, tmp_path_factory, project_name) -> Iterator[list[str]]:
    """Return options of `docker run` that mount Debian's library of all ICU data."""
    tag = f"{project_name}-nodejs:full-icu"
    variables = build_variables(contract, base_image.resolve(contract, engine))
    subprocess.run(
        [
            *("docker", "buildx", "build", "--quiet", "--load", "--target=nodejs", f"--tag={tag}"),
            f"--build-arg={contract.base.variable}={variables[contract.base.variable]}",
            f"--secret=id=ca,src={variables.get('BUILD_CA', '/dev/null')}",
            f"--file={ROOT / 'ops/dockerfiles/Dockerfile.worker'}",
            str(ROOT),
        ],
        check=True,
        env=clean_environment(**variables),
        capture_output=True,
    )
    folder = tmp_path_factory.mktemp("icu")
    try:
        find = "realpath /usr/lib/*-linux-gnu*/libicudata.so.[0-9][0-9]"
        library = docker("run", "--rm", "--network=none", tag, "sh", "-c", find)
        with (folder / "full.so").open("wb") as file:
            command = ["docker", "run", "--rm", "--network=none", tag, "cat", library]
            subprocess.run(command, check=True, stdout=file)
        yield ["--volume", f"{folder / 'full.so'}:{library}:ro"]
    finally:
        docker("image", "rm", "--force", tag)


def _node(image: str, options: list[str], *arguments: str, text: str = "") -> str:
    """Run Node in a container of the image; return its output."""
    command = ["docker", "run", "--rm", "--interactive", "--entrypoint=node", *options, image]
    result = subprocess.run(
        [*command, *arguments], input=text, capture_output=True, text=True, timeout=120
    )
    assert not result.stderr, result.stderr
    return result.stdout


def test_reduced_icu_lacks_only_other_languages(built, full_icu):
    worker = built.references["worker"]
    assert _node(worker, full_icu, "--eval", LOCALES) == "de,en,ja\n"
    assert _node(worker, [], "--eval", LOCALES) == "en\n"


def test_unicode_encodings_hosts_and_english_are_unchanged(built, full_icu):
    """Normal forms, case and class of every code point; collation; 18 encodings; segmentation of
    languages without spaces; host names; dates, numbers and plurals.
    """
    options = ["--network=none", "--volume", f"{PROBE}:/probe.js:ro"]
    expected, actual = (
        json.loads(_node(built.references["worker"], [*options, *mounts], "/probe.js"))
        for mounts in (full_icu, [])
    )
    assert actual == expected


CODE = b"function one() {\n  return 1;\n}\n"
OLD: Files = {
    "unicode/é.js": CODE,  # composed
    "unicode/e\u0301x.js": CODE,  # decomposed
    "unicode/\u0131\u015f\u0131k.js": CODE,
    "unicode/漢字.txt": "漢字かな\n".encode("shift_jis"),
    "unicode/한국어.txt": "한국어\n".encode("euc_kr"),
    "unicode/مرحبا.txt": "مرحبا\n".encode(),
    "unicode/😀.md": "# 😀\n".encode(),
    "unicode/A.js": CODE,
    "unicode/Z.js": CODE,
    "unicode/latin.txt": "déjà vu\n".encode("latin-1"),
    "unicode/wide.txt": "wide\n".encode("utf-16"),
    "bytes.bin": bytes(range(256)) * 4,
}
NEW: Files = {
    **{name: content + b"\n// more\n" for name, content in OLD.items()},
    "unicode/ﬁ.js": CODE,
    "unicode/ünder.js": CODE,
    "unicode/straße.js": "var größe = 'İ'.toLowerCase();\n".encode(),
    "unicode/10.js": CODE,
    "unicode/2.js": CODE,
}


@pytest.fixture(scope="module")
def packages() -> Iterator[Registry]:
    with npm_registry.serving() as registry:
        registry.publish("1.0.0", OLD, published="2020-02-29T12:00:00.000Z")
        registry.publish("1.1.0", NEW, published="2020-03-01T12:00:00.000Z", license="MIT")
        registry.publish("2.0.0-ä", NEW)  # not a version by npm's rules
        registry.publish("3.0.0", b"\x1f\x8b not gzip")
        yield registry


@pytest.mark.parametrize("version", ["1.1.0", "^1.0.0", "latest", "9.9.9", "3.0.0", "ä"])
def test_diff_program_prints_the_same_on_both(built, full_icu, packages, version):
    limits = Limits().as_json()
    upgrade = {"package": "sample", "from": "1.0.0", "to": version}
    request = json.dumps({**upgrade, "registry": packages.address, "limits": limits})
    options = ["--network=host", "--tmpfs=/tmp"]
    program = "/app/worker/diff/dist/diff.cjs"
    expected, actual = (
        json.loads(_node(built.references["worker"], [*options, *mounts], program, text=request))
        for mounts in (full_icu, [])
    )
    assert actual == expected
    if version == "1.1.0":
        assert len(actual["files"]) == len(NEW)
