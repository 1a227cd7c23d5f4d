"""Tests of worker/diff/build.mjs: the bundle's contents and its records."""

from __future__ import annotations

import json

from worker import npm_diff


def test_the_bundle_cannot_start_a_process():
    """It excludes npm's code for git and scripts."""
    bundle = npm_diff.PROGRAM.read_text()
    assert "child_process" not in bundle
    assert "sourceMappingURL" not in bundle


def test_unused_npm_packages_are_not_bundled(diff_sources):
    packages = diff_sources / "dist" / "node_modules"
    assert (packages / "pacote").is_dir()
    assert not [name for name in ("cacache", "glob", "tar") if (packages / name).exists()]


def test_each_bundled_package_has_a_record_and_a_licence(diff_sources):
    """Scanners and the check `content.locked` read the records."""
    dist = diff_sources / "dist"
    lock = json.loads((diff_sources.parent / "package-lock.json").read_text())["packages"]
    records = {str(file.parent.relative_to(dist)): file for file in dist.rglob("package.json")}
    assert {"node_modules/pacote", "node_modules/minipass-flush/node_modules/minipass"} <= set(
        records
    )
    headings = set((dist / "LICENSES.txt").read_text().splitlines())
    for path, file in records.items():
        record = json.loads(file.read_text())
        assert record["version"] == lock[path]["version"]
        assert f"{record['name']} {record['version']}" in headings
