"""What V8 makes of the diff program ahead of reviews: taken where it fits, else done without."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.worker.npm_registry import Files, serving
from worker import differ, node
from worker.change import Change
from worker.diff import precompile

SOURCES = Path(differ.__file__).parent / "diff"
OLD: Files = {"index.js": b"a\nb\nc\n", "gone.js": b"x\n"}
NEW: Files = {"index.js": b"a\nB\nc\n", "new.js": b"y\nz\n"}
# Runs the program as start.cjs does, and says on stderr whether V8 refused the cache: undefined
# where it was given none.
PROBE = """
const script = require("./dist/start.cjs").compiled();
process.stderr.write(String(script.cachedDataRejected));
script.runInThisContext()(require);
"""


def _made(folder: Path) -> Path:
    """A folder with the program and its cache, as the image's build makes it."""
    (folder / "dist").mkdir(parents=True)
    for name in ("start.cjs", "diff.cjs"):
        shutil.copy(differ.PROGRAM.with_name(name), folder / "dist")
    shutil.copy(SOURCES / "precompile.cjs", folder)
    (folder / "probe.cjs").write_text(PROBE)
    command = [sys.executable, "-m", "worker.diff.precompile", str(folder)]
    ended = subprocess.run(command, cwd=SOURCES.parents[1], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return _made(tmp_path_factory.mktemp("precompiled"))


@pytest.fixture
def own(made, tmp_path) -> Path:
    """One that a test may damage."""
    return shutil.copytree(made, tmp_path / "own")


def _refused(folder: Path, *more: str) -> str:
    """Whether V8 refuses the cache there; in any case the program has answered."""
    ended = node.run(folder / "probe.cjs", b"{}", timeout=30, max_output=1000, more=more)
    assert json.loads(ended.output)["error"]["code"] == "bad_request"
    return ended.errors


def _review(program: Path, monkeypatch) -> Change:
    monkeypatch.setattr(differ, "PROGRAM", program)
    with serving() as registry:
        registry.publish("1.0.0", OLD)
        registry.publish("1.1.0", NEW)
        address = registry.address
        return differ.diff_versions("sample", "1.0.0", "^1.1.0", registry=address, token=None)


def test_a_review_takes_what_was_compiled_ahead_and_says_the_same(made, monkeypatch):
    assert _refused(made) == "false"
    plain = _review(differ.PROGRAM, monkeypatch)
    assert _review(made / "dist" / "start.cjs", monkeypatch) == plain
    assert [file.path for file in plain.files] == ["gone.js", "index.js", "new.js"]


def test_the_functions_that_a_review_calls_are_all_in_it(made):
    """Not those alone that V8 compiles at once: they are a tenth."""
    whole, program = (made / "dist" / name for name in ("diff.cache", "diff.cjs"))
    assert whole.stat().st_size > program.stat().st_size


def test_two_builds_make_the_same_bytes_whatever_lay_there(made):
    """In the same place, as the image has it; else its layers were others each time."""
    cache = made / "dist" / "diff.cache"
    written = cache.read_bytes()
    cache.write_bytes(b"of another build")
    precompile.main(made)  # ends this process where V8 refuses it
    assert cache.read_bytes() == written


@pytest.mark.parametrize("flag", ["--no-opt", "--stack-size=900"])
def test_node_with_other_flags_compiles_the_program_itself(made, flag):
    assert _refused(made, flag) == "true"


@pytest.mark.parametrize("damage", ["cut", "of another V8", "of another Node", "empty", "absent"])
def test_a_cache_that_does_not_fit_is_done_without(own, damage):
    """V8 is not even asked where Node is another: it takes such a cache, and dies of it."""
    cache = own / "dist" / "diff.cache"
    version, _, content = cache.read_bytes().partition(b"\n")
    if damage == "absent":
        cache.unlink()
    else:
        cache.write_bytes(
            {
                "cut": version + b"\n" + content[:-100],
                "of another V8": version + b"\n" + content[:4] + bytes(4) + content[8:],
                "of another Node": b"v0.1.2\n" + content,
                "empty": b"",
            }[damage]
        )
    known = damage in {"cut", "of another V8"}
    assert _refused(own) == ("true" if known else "undefined")


@pytest.mark.parametrize("begins", [True, False])
def test_the_build_fails_when_v8_refuses_what_it_wrote(own, begins):
    """So that no image ships a cache that is of no use, or that is not even given to V8."""
    cache = own / "dist" / "diff.cache"
    version, _, _ = cache.read_bytes().partition(b"\n")
    cache.write_bytes((version + b"\n" if begins else b"") + b"damaged")
    ended = node.run(own / "precompile.cjs", b"", timeout=30, max_output=0)
    assert (ended.status, ended.errors) == (1, "V8 refuses dist/diff.cache")


def test_a_fault_still_names_its_place_in_the_bundle(own):
    """The frames on stderr, by which a fault of the program is found."""
    bundle = own / "dist" / "diff.cjs"
    bundle.write_text('"use strict";\nfunction planted() { throw new Error("x"); }\nplanted();\n')
    ended = node.run(own / "dist" / "start.cjs", b"{}", timeout=30, max_output=1000)
    assert f"at planted ({bundle}:2:" in ended.errors


def test_what_no_review_calls_is_not_in_the_bundle(diff_sources):
    """Nor compiled with it: npm's cache on a disk, and what unpacks there."""
    packages = diff_sources / "dist" / "node_modules"
    assert (packages / "pacote").is_dir()
    assert not [name for name in ("cacache", "glob", "tar") if (packages / name).exists()]
