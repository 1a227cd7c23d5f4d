"""Tests of worker.npm_diff and worker.node: input, limits and failures of the Node program."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from tests.support.npm_registry import serving
from worker import node, npm_diff
from worker.failure import ReviewError
from worker.npm_diff import diff_versions

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


def _failure(timeout: float = 30) -> ReviewError:
    with pytest.raises(ReviewError) as caught:
        _diff(timeout)
    assert TOKEN not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("for (;;);", "out_of_time", "took more than 0.5 s"),
        ("setInterval(() => {}, 1000);", "out_of_time", "took more than 0.5 s"),
        (
            "import fs from 'fs'; for (;;) fs.writeSync(1, 'x'.repeat(65536));",
            "too_much_output",
            "wrote more than",
        ),
        ("for (const all = []; ; ) all.push({});", "out_of_memory", "400 MiB"),
        ("process.exit(71);", "out_of_memory", "400 MiB"),
        ("throw new Error('planted');", "crashed", "ended with 1"),
        ("process.kill(process.pid, 'SIGKILL');", "crashed", "ended with -9"),
        ("console.log('{\"error\": 7}'); process.exitCode = 1;", "crashed", "ended with 1"),
        ("process.exit();", "crashed", "ended with 0"),
    ],
)
def test_each_end_of_the_program_has_its_code(text, code, message, replace_program):
    replace_program(text)
    error = _failure(timeout=0.5 if code == "out_of_time" else 30)
    assert error.code == code
    assert message in str(error)
    assert ("planted" in error.detail) == ("planted" in text)


@pytest.mark.parametrize("answer", ["{}", '{"from": {"version": 1}}', "[]", '{"from": null}'])
def test_an_invalid_answer_is_not_a_change(answer):
    with pytest.raises((KeyError, TypeError)):
        npm_diff.parse_answer("sample", answer.encode())


def test_an_error_from_the_program_is_raised_with_its_code(replace_program):
    """Half a character, from a name that was cut, could not be stored."""
    replace_program(r"""
        console.log('{"error": {"code": "integrity", "message": "m", "detail": "d\\ud800"}}');
        process.exitCode = 1;
    """)
    error = _failure()
    assert (error.code, str(error), error.detail) == ("integrity", "m", "d?")


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
        console.log(JSON.stringify({ error: { code: 'x', message } }));
        process.exitCode = 1;
    """)
    assert str(_failure()) == '[false,"hush"]'


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
