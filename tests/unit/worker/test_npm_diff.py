"""Tests of worker.npm_diff and worker.node: input, limits and failures of the Node program."""

from __future__ import annotations

import json
import os
import select
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.support.npm_registry import serving
from worker import node, npm_diff
from worker.npm_diff import DiffError, diff_versions

TOKEN = "hush-5f3a"


@pytest.fixture
def replace_program(tmp_path, monkeypatch):
    """Return a function that replaces the diff program by another script."""

    def replace(text: str) -> None:
        script = tmp_path / "program.mjs"
        script.write_text(text)
        monkeypatch.setattr(npm_diff, "PROGRAM", script)

    return replace


def _diff(timeout: float = 30) -> None:
    registry = f"http://user:{TOKEN}@npm.test"
    diff_versions("sample", "1.0.0", "1.1.0", registry=registry, token=TOKEN, timeout=timeout)


def _failure(timeout: float = 30) -> DiffError:
    with pytest.raises(DiffError) as caught:
        _diff(timeout)
    assert TOKEN not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("for (;;);", "exceeded its time limit"),
        ("import fs from 'fs'; for (;;) fs.writeSync(1, 'x'.repeat(65536));", "wrote more than"),
        ("throw new Error('planted');", "planted"),
        ("process.kill(process.pid, 'SIGKILL');", "exited with -9 and no answer"),
    ],
)
def test_a_crashed_or_killed_program_is_a_retryable_error(text, message, replace_program):
    replace_program(text)
    error = _failure(timeout=0.5 if "time limit" in message else 30)
    assert (error.code, error.retry) == ("node", True)
    assert message in str(error)


@pytest.mark.parametrize("answer", ["{}", '{"from": {"version": 1}}', "[]", '{"from": null}'])
def test_an_invalid_answer_is_an_error(answer, replace_program):
    replace_program(f"console.log({json.dumps(answer)})")
    assert _failure().code == "node"


def test_an_error_from_the_program_is_raised_with_its_code(replace_program):
    replace_program(
        """console.log('{"error": {"code": "integrity", "message": "m", "retry": false}}')"""
    )
    error = _failure()
    assert (error.code, str(error), error.retry) == ("integrity", "m", False)


def test_a_missing_bundle_is_reported_with_the_build_command(tmp_path, monkeypatch):
    monkeypatch.setattr(npm_diff, "PROGRAM", tmp_path / "absent.cjs")
    assert "npm run build" in str(_failure())


def test_secrets_are_not_in_arguments_or_environment(replace_program, monkeypatch):
    """Other processes can read both; the token is sent over stdin."""
    monkeypatch.setenv("ARTIFACTORY_TOKEN", TOKEN)
    replace_program("""
        import { readFileSync } from 'fs';
        const read = (path) => readFileSync(path, 'utf8');
        const visible = read('/proc/self/cmdline') + read('/proc/self/environ');
        const { token } = JSON.parse(read(0));
        const message = JSON.stringify([visible.includes('hush'), token.slice(0, 4)]);
        console.log(JSON.stringify({ error: { code: 'x', message, retry: false } }));
    """)
    assert str(_failure()) == '[false,"hush"]'


def test_node_gets_only_the_allowed_environment_variables(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name != "PATH":
            monkeypatch.delenv(name)
    allowed = {"TMPDIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTP_PROXY", "no_proxy"}
    for name in (*allowed, "LLM_API_KEY", "NODE_OPTIONS", "HOME", "NPM_CONFIG_REGISTRY"):
        monkeypatch.setenv(name, str(tmp_path))
    script = tmp_path / "env.mjs"
    script.write_text("console.log(JSON.stringify(Object.keys(process.env)))")
    result = node.run(script, b"", timeout=30, max_output=1000)
    assert set(json.loads(result.stdout)) == {"PATH", *allowed}


def test_memory_outside_the_heap_is_limited(tmp_path):
    script = tmp_path / "buffers.mjs"
    script.write_text("for (const all = []; ; ) all.push(Buffer.alloc(1e7, 1));")
    result = node.run(script, b"", timeout=30, max_output=1000)
    assert result.exit_status != 0


# Starts a child process that holds a pipe open for its lifetime, then writes a byte to the pipe.
CHILD = """
import { spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
const pipe = openSync(process.env.TMPDIR + '/pipe', 'w');
spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', pipe] });
writeSync(pipe, 'x');
"""


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """Return the reading end of that pipe."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield end
    os.close(end)


def _read(pipe: int) -> bytes:
    """Wait for one byte; return b"" if no process holds the pipe any more."""
    ready, _, _ = select.select([pipe], [], [], 20)
    assert ready
    return os.read(pipe, 1)


def test_kill_all_from_another_thread_kills_the_process_group(replace_program, pipe):
    replace_program(CHILD)
    with ThreadPoolExecutor(1) as executor:
        failure = executor.submit(_failure)
        assert _read(pipe) == b"x"
        node.kill_all()
        error = failure.result()
    assert (error.code, error.retry) == ("node", True)
    assert _read(pipe) == b""


def test_exceeding_a_limit_kills_the_process_group(replace_program, pipe):
    replace_program(f"{CHILD}; for (;;) writeSync(1, 'x'.repeat(65536));")
    assert "wrote more than" in str(_failure())
    assert _read(pipe) == b"x"
    assert _read(pipe) == b""


@pytest.mark.parametrize("text", [None, "", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_an_invalid_time_is_none(text):
    assert npm_diff._parse_time(text) is None


def test_a_time_is_converted_to_utc():
    expected = datetime(2026, 11, 20, 10, tzinfo=UTC)
    for text in ("2026-11-20T10:00:00.000Z", "2026-11-20T10:00:00", "2026-11-20T12:00:00+02:00"):
        assert npm_diff._parse_time(text) == expected


def test_a_missing_node_is_reported(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(node.NodeError, match="not on the PATH"):
        node.version()


def test_the_bundle_works_without_packages_home_or_temporary_folder(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle" / "diff.cjs"
    bundle.parent.mkdir()
    shutil.copy(npm_diff.PROGRAM, bundle)
    monkeypatch.setattr(npm_diff, "PROGRAM", bundle)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # not used for the loopback
    with serving() as registry:
        registry.publish("1.0.0", {"a.js": b"1\n"})
        registry.publish("1.1.0", {"a.js": b"2\n"})
        change = diff_versions("sample", "1.0.0", "1.1.0", registry=registry.address, token=None)
    assert [file.path for file in change.files] == ["a.js"]
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["diff.cjs"]
