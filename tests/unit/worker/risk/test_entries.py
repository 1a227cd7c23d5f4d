"""Tests of worker.risk.entries and file_role: whatever Node runs counts as code under any name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.growth import assert_linear
from tests.support.upgrades import NOW, added_file, binary_file, changed_file, upgrade
from worker.change import Change, FileChange
from worker.risk import SIGNALS, assess
from worker.risk.file_role import Role, role_of

EXTENSIONS = "toml ini yml yaml lock xml csv tsv snap graphql proto json5 jsonc md txt css map html"


def _evals(*files: FileChange, **manifest: Any) -> dict[str, float]:
    change = upgrade(*files, old_manifest=manifest, new_manifest=manifest)
    return {finding.path: finding.weight for finding in SIGNALS["code.eval"].detect(change, NOW)}


@pytest.mark.parametrize(
    "manifest",
    [
        {"main": "./lib/../cli.toml"},
        {"bin": "cli.toml"},
        {"bin": {"a": "./cli.toml"}},
        {"exports": {".": {"a": {"b": {"c": {"d": {"e": {"f": ["./cli.toml"]}}}}}}}},
        {"exports": {f"./{n}": f"./{n}.js" for n in range(2000)} | {".": "./cli.toml"}},
        {"imports": {"#x": "./cli.toml"}},
        {"imports": {"#*": "./*.toml"}},
        {"scripts": {"postinstall": "node cli.toml"}},
        {"scripts": {"install": "npm run a", "prea": "node cli.toml", "a": "b"}},
        {"directories": {"bin": "./"}},
    ],
    ids=str,
)
def test_an_entry_point_is_code_under_any_name(manifest: dict[str, Any]):
    if "directories" in manifest:
        manifest, path = {"directories": {"bin": "./b"}}, "b/cli.toml"
    else:
        path = "cli.toml"
    assert _evals(changed_file(path, "Reflect.a = eval(x)"), **manifest) == {path: 0.4}


@pytest.mark.parametrize("extension", EXTENSIONS.split())
@pytest.mark.parametrize(
    "line",
    [
        "require('./d.%s')",
        "await import(`./d.%s`)",
        "import a from '#x/d.%s'",
        "const n = './d.%s'; require(n)",
        "runInNewContext(readFileSync(join(a, 'd.%s')))",
        "fork('./d.%s')",
    ],
)
def test_a_file_that_code_loads_is_code(line: str, extension: str):
    path = f"lib/d.{extension}"
    assert (
        _evals(changed_file("a.js", line % extension), changed_file(path, "eval(x)"))[path] == 0.4
    )


def test_the_name_of_a_loaded_file_may_be_concatenated():
    loader = changed_file("a.js", "const n = './d.' + 'md'; require(n)")
    assert _evals(loader, changed_file("d.md", "eval(x)")) == {"d.md": 0.4}


@pytest.mark.parametrize("path", ["a.toml", "b/a.yml", "a.csv"])
def test_data_with_javascript_in_it_is_code(path: str):
    """The line that loads it may be unchanged."""
    assert _evals(changed_file(path, "eval(x)")) == {path: 0.4}
    assert _evals(changed_file(f"test/{path}", "eval(x)")) == {}


def test_json_is_code_only_if_it_can_be_run_as_text():
    data = changed_file("d.json", "eval(x)")
    assert _evals(changed_file("a.js", "require('./d.json')"), data) == {}
    assert "d.json" in _evals(changed_file("a.js", "read('./d.json')", "eval(y)"), data)


@pytest.mark.parametrize(
    ("manifest", "line"),
    [
        ({"exports": {"./README.md": "./README.md", "./*": "./*"}}, ""),
        ({"exports": {".": {"types": "./README.md"}}}, ""),
        ({}, "log('See README.md')"),
        ({}, "readFileSync('README.md')"),
    ],
)
def test_a_document_that_nothing_runs_is_not_searched(manifest: dict[str, Any], line: str):
    assert (
        _evals(changed_file("a.js", line), changed_file("README.md", "eval(x)"), **manifest) == {}
    )


def _blocks(change: Change) -> bool:
    return assess(change, NOW).risk >= 0.75


@pytest.mark.parametrize("kind", ["archive", "binary", "pe"])
def test_an_unread_file_that_runs_blocks(kind: Any):
    core = binary_file("core", kind, modified=True)
    main = {"main": "core"}
    assert _blocks(upgrade(core, old_manifest=main, new_manifest=main))
    assert _blocks(upgrade(core, changed_file("a.js", "require('./core')")))
    assert not _blocks(upgrade(core))
    assert _blocks(upgrade(replace(core, complete=False, note="too large")))


@pytest.mark.parametrize("path", ["logo.png", "a.woff2", "a.exe", "a.node"])
def test_a_picture_or_native_program_that_code_loads_is_not_unread_code(path: str):
    change = upgrade(binary_file(path), changed_file("a.js", f"import a from './{path}'"))
    assert list(SIGNALS["files.unread"].detect(change, NOW)) == []


def test_an_unchanged_document_or_data_that_now_runs_blocks():
    assert _blocks(upgrade(new_manifest={"bin": "a.toml"}))
    assert _blocks(upgrade(new_manifest={"imports": {"#a": "./a.md"}}))
    assert not _blocks(upgrade(new_manifest={"main": "a.css", "exports": {"./t": "./t.d.ts"}}))


def test_a_test_that_was_no_entry_point_does_not_cancel_code():
    """The old manifest decides about a removed file."""
    removed = replace(changed_file("test/p.js", removed_lines=("eval(x)",)), status="removed")
    change = upgrade(removed, added_file("lib/p.js", "eval(x)"), new_manifest={"bin": "test/p.js"})
    assert role_of(change)["test/p.js"] is Role.TEST
    assert assess(change, NOW).risk >= 0.4


def _many_names(size: int) -> Change:
    count = size // 40
    scripts = {f"s{n}": f"npm run s{n + 1}" for n in range(count)}
    return upgrade(
        changed_file("a.js", *[f"require('./{n}.md')" for n in range(count)], "'" * size),
        changed_file("b.js", "a.b-" * count, "'a.md' + " * count),
        *(changed_file(f"b/{n}.md", "x") for n in range(count)),
        new_manifest={"scripts": {"install": "s0", **scripts}, "imports": {"#*": "./*.md"}},
    )


def test_the_search_for_loaded_files_grows_linearly():
    assert_linear(_many_names, role_of, max_size=512 * 1024)
