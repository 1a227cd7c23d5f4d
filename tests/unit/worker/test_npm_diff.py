"""The Python door of the diff program: what Node gets, how it is bounded, what its failure is."""

from __future__ import annotations

import json
import os
import select
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.npm_registry import serving
from worker import node, npm_diff
from worker.npm_diff import DiffError, diff_versions

TOKEN = "hush-5f3a"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that puts another program in the place of the real one."""

    def use(text: str) -> Path:
        script = tmp_path / "program.mjs"
        script.write_text(text)
        monkeypatch.setattr(npm_diff, "PROGRAM", script)
        return script

    return use


def _diff(timeout: float = 30) -> None:
    registry = f"http://user:{TOKEN}@npm.test"
    diff_versions("sample", "1.0.0", "1.1.0", registry=registry, token=TOKEN, timeout=timeout)


def _failure(timeout: float = 30) -> DiffError:
    with pytest.raises(DiffError) as caught:
        _diff(timeout)
    assert TOKEN not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("for (;;);", "took too long"),
        ("import fs from 'fs'; for (;;) fs.writeSync(1, 'x'.repeat(65536));", "wrote more than"),
        ("throw new Error('planted');", "planted"),
        ("process.kill(process.pid, 'SIGKILL');", "ended with -9 and no result"),
    ],
)
def test_a_program_that_breaks_is_worth_another_try(text, said, program):
    """Killed at its bounds; the tail of its stderr is told."""
    program(text)
    error = _failure(timeout=0.5 if "long" in said else 30)
    assert (error.code, error.retry) == ("node", True)
    assert said in str(error)


@pytest.mark.parametrize("answer", ["{}", '{"from": {"version": 1}}', "[]", '{"from": null}'])
def test_an_answer_of_another_shape_is_an_error(answer, monkeypatch):
    monkeypatch.setattr(node, "run", lambda *_, **__: node.Ended(0, f"{answer}\n".encode(), ""))
    assert _failure().code == "node"


def test_the_refusals_of_the_program_are_told(program):
    program("""console.log('{"error": {"code": "integrity", "message": "m", "retry": false}}')""")
    error = _failure()
    assert (error.code, str(error), error.retry) == ("integrity", "m", False)


def test_a_program_that_is_not_built_says_how_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(npm_diff, "PROGRAM", tmp_path / "absent.cjs")
    assert "npm run build" in str(_failure())


def test_no_secret_stands_where_other_processes_see_it(program, monkeypatch):
    """It goes over stdin: neither in the arguments nor in the environment."""
    monkeypatch.setenv("ARTIFACTORY_TOKEN", TOKEN)
    program("""
        import { readFileSync } from 'fs';
        const read = (path) => readFileSync(path, 'utf8');
        const seen = read('/proc/self/cmdline') + read('/proc/self/environ');
        const { token } = JSON.parse(read(0));
        const message = JSON.stringify([seen.includes('hush'), token.slice(0, 4)]);
        console.log(JSON.stringify({ error: { code: 'x', message, retry: false } }));
    """)
    assert str(_failure()) == '[false,"hush"]'


def test_the_program_sees_of_the_environment_what_it_needs(tmp_path, monkeypatch):
    """Where Node is, where it may write, and the way to the registry."""
    for name in list(os.environ):
        if name != "PATH":
            monkeypatch.delenv(name)
    needed = {"TMPDIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTP_PROXY", "no_proxy"}
    for name in (*needed, "LLM_API_KEY", "NODE_OPTIONS", "HOME", "NPM_CONFIG_REGISTRY"):
        monkeypatch.setenv(name, str(tmp_path))
    script = tmp_path / "env.mjs"
    script.write_text("console.log(JSON.stringify(Object.keys(process.env)))")
    ended = node.run(script, b"", timeout=30, max_output=1000)
    assert set(json.loads(ended.output)) == {"PATH", *needed}


def test_the_memory_of_the_process_is_bounded(tmp_path):
    """Also what lies outside of V8's heap."""
    script = tmp_path / "buffers.mjs"
    script.write_text("for (const all = []; ; ) all.push(Buffer.alloc(1e7, 1));")
    ended = node.run(script, b"", timeout=30, max_output=1000)
    assert ended.status != 0


# Starts a process that holds a pipe as long as it lives, and says so in it.
CHILD = """
import { spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
const held = openSync(process.env.TMPDIR + '/held', 'w');
spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', held] });
writeSync(held, 'x');
"""


@pytest.fixture
def held(tmp_path, monkeypatch):
    """The other end of that pipe."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    os.mkfifo(tmp_path / "held")
    end = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    yield end
    os.close(end)


def _read(pipe: int) -> bytes:
    """Wait for one byte; none where nobody holds the pipe any more."""
    ready, _, _ = select.select([pipe], [], [], 20)
    assert ready
    return os.read(pipe, 1)


def test_an_end_from_another_thread_takes_the_whole_group(program, held):
    """The one in hand fails at once, and nothing that it started is left."""
    program(CHILD)
    with ThreadPoolExecutor(1) as beside:
        failing = beside.submit(_failure)
        assert _read(held) == b"x"
        node.end()
        error = failing.result()
    assert (error.code, error.retry) == ("node", True)
    assert _read(held) == b""


def test_a_bound_takes_the_whole_group(program, held):
    program(f"{CHILD}; for (;;) writeSync(1, 'x'.repeat(65536));")
    assert "wrote more than" in str(_failure())
    assert _read(held) == b"x"
    assert _read(held) == b""


@pytest.mark.parametrize("text", [None, "", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_none(text):
    assert npm_diff._moment(text) is None


def test_a_time_is_in_utc():
    expected = datetime(2026, 11, 20, 10, tzinfo=UTC)
    for text in ("2026-11-20T10:00:00.000Z", "2026-11-20T10:00:00", "2026-11-20T12:00:00+02:00"):
        assert npm_diff._moment(text) == expected


def test_no_node_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(node.NodeError, match="not on the PATH"):
        node.version()


def test_the_bundle_is_one_file_that_can_start_no_process():
    """Of what npm brings along for git and for scripts there is nothing in it; its packages'
    licences stand beside it."""
    bundle = npm_diff.PROGRAM.with_name("diff.cjs").read_text()
    assert "child_process" not in bundle
    assert "sourceMappingURL" not in bundle
    licences = (npm_diff.PROGRAM.parent / "LICENSES.txt").read_text()
    for package in ("pacote 20.", "libnpmdiff 7.", "diff 5."):
        assert f"\n{package}" in licences


def test_unused_npm_packages_are_not_bundled(diff_sources):
    packages = diff_sources / "dist" / "node_modules"
    assert (packages / "pacote").is_dir()
    assert not [name for name in ("cacache", "glob", "tar") if (packages / name).exists()]


def test_each_package_of_the_bundle_leaves_its_record_as_the_lock_file_names_it(diff_sources):
    """So that scanners, and `content.locked`, see what is inside."""
    dist = diff_sources / "dist"
    lock = json.loads((diff_sources.parent / "package-lock.json").read_text())["packages"]
    records = {str(file.parent.relative_to(dist)): file for file in dist.rglob("package.json")}
    assert {"node_modules/pacote", "node_modules/minipass-flush/node_modules/minipass"} <= set(
        records
    )
    for path, file in records.items():
        assert json.loads(file.read_text())["version"] == lock[path]["version"]
    headings = (dist / "LICENSES.txt").read_text().splitlines()
    named = {f"{(r := json.loads(f.read_text()))['name']} {r['version']}" for f in records.values()}
    assert named <= set(headings)


def test_the_bundle_needs_nothing_beside_it(tmp_path, monkeypatch):
    """No packages, no folder for temporary files, no home."""
    for name in ("diff.cjs",):
        shutil.copy(npm_diff.PROGRAM.with_name(name), tmp_path)
    monkeypatch.setattr(npm_diff, "PROGRAM", tmp_path / "diff.cjs")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the way to the loopback leads by none
    with serving() as registry:
        registry.publish("1.0.0", {"a.js": b"1\n"})
        registry.publish("1.1.0", {"a.js": b"2\n"})
        change = diff_versions("sample", "1.0.0", "1.1.0", registry=registry.address, token=None)
    assert [file.path for file in change.files] == ["a.js"]
    assert {file.name for file in tmp_path.iterdir()} == {"diff.cjs"}
