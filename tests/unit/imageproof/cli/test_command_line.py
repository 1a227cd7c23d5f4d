"""Tests of the command line: options, values, help and suggestions, of every command."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys

import pytest
from invoke.program import Program

from imageproof import console
from imageproof.cli import core_options
from imageproof.cli.collection import make_collection
from imageproof.cli.program import make_program
from ops.tasks import namespace
from tests.support.sample_facts import ROOT

COMMANDS = sorted(namespace.task_names)
HELP_FLAGS = ("-h", "--help")
INVOKES_OPTIONS = {
    flag: argument
    for argument in (*Program().core_args(), *Program().task_args())
    for flag in (f"--{argument.names[0]}", *(f"-{short}" for short in argument.names[1:]))
}
REFUSED = [
    flag for flag, option in INVOKES_OPTIONS.items() if option.names[0] not in core_options.HELP
]
CONTEXTS = {str(context.name): context for context in namespace.to_contexts()}
NUMBERS = [
    (name, f"--{option}")
    for name, context in CONTEXTS.items()
    for option, argument in context.args.items()
    if argument.kind in (int, float)
]
FORMATS = [name for name, context in CONTEXTS.items() if "format" in context.args]


@pytest.fixture(autouse=True)
def restore_console():
    yield
    console.set_program_name("./inv")
    console.show_tracebacks(False)


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs a command line in this process: status, output, messages."""
    monkeypatch.setattr("imageproof.signals.install_handlers", lambda: None)
    monkeypatch.setattr("imageproof.console.messages", _console)

    def run(*words: str, name: str = "./inv") -> tuple[int, str, str]:
        program = make_program(namespace if name == "./inv" else make_collection(), name)
        with pytest.raises(SystemExit) as caught:
            program.run([name, *words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(caught.value.code or 0), captured.out, captured.err

    return run


def _console():
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_works_before_and_after_each_command(name, run):
    outputs = {run(name, flag) for flag in HELP_FLAGS} | {run(flag, name) for flag in HELP_FLAGS}
    assert len(outputs) == 1
    status, output, messages = outputs.pop()
    assert (status, messages) == (0, "")
    assert f"Usage: ./inv [--core-opts] {name} " in output


def test_program_is_named_as_the_user_calls_it(run):
    assert "Usage: imageproof [--core-opts] up " in run("up", "-h", name="imageproof")[1]
    assert run("stauts", name="imageproof")[2].count("./inv") == 0
    assert "`imageproof --help COMMAND`" in run("stauts", name="imageproof")[2]
    assert run("--version", name="imageproof") == run("--version", name="./inv")
    assert re.fullmatch(r"imageproof \d+\.\d+\.\d+\n", run("--version")[1])


@pytest.mark.parametrize("flag", REFUSED)
@pytest.mark.parametrize("position", ["before", "after"])
def test_option_of_invoke_without_a_meaning_is_refused_with_what_to_use_instead(
    flag, position, run, monkeypatch
):
    monkeypatch.setattr("imageproof.stack.compose.down", lambda *_, **__: pytest.fail("it ran"))
    taken = flag in CONTEXTS["down"].flags
    if taken and position == "after":
        return  # the command has this flag itself
    status, output, messages = run(*([flag, "down"] if position == "before" else ["down", flag]))
    assert (status, output) == (2, "")
    assert f"--{INVOKES_OPTIONS[flag].names[0]} is an option of Invoke" in messages
    assert "\n→ " in messages


def test_refused_options_are_not_in_the_help(run):
    status, output, _ = run("--help")
    assert status == 0
    words = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", output.partition("Subcommands")[0]))
    assert words.isdisjoint(REFUSED)
    assert {"--help", "--debug", "--list", "--version"} <= words


def test_dry_run_of_invoke_changes_nothing():
    """The program `invoke` has its own parser: it accepts --dry."""
    result = subprocess.run(
        [sys.executable, "-m", "invoke", "--dry", "down"],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"DOCKER_HOST": "unix:///nowhere"},
    )  # fmt: skip
    assert result.returncode == 2
    assert "--dry-run" in result.stderr


@pytest.mark.parametrize(("name", "option"), NUMBERS)
@pytest.mark.parametrize("value", ["x", "", "-5", "1e999", "nan", "1.5.2", "٣x", "9" * 30])
def test_invalid_number_is_refused_before_any_work(name, option, value, run):
    if (kind := CONTEXTS[name].flags[option].kind) is float and value == "9" * 30:
        return  # a long time, but a number
    status, output, messages = run(name, option, value)
    assert (status, output) == (2, ""), kind
    assert f"✗ reading the command line: {option} needs a " in messages
    assert "\n→ " in messages


@pytest.mark.parametrize("name", FORMATS)
def test_unknown_format_is_refused_before_the_first_command_runs(name, run, monkeypatch):
    monkeypatch.setattr("imageproof.report.check_reference.show", lambda _: pytest.fail("it ran"))
    status, _, messages = run("explain", "user.nonroot", name, "--format", "jsno")
    assert status == 2
    assert "--format needs one of" in messages
    assert "'jsno'" in messages


@pytest.mark.parametrize(
    "words",
    [
        "verify --output nosuch/x.json",
        "verify --output .",
        "verify --only rnu",
        "verify --platform linux",
        "build --platform linux/amd64,",
        "build --push https://host.invalid/x",
        "build --push host.invalid/x --tag a:b",
        "build --output pyproject.toml",
        "sbom --output pyproject.toml/x",
        "push --registry host.invalid/x --tag -",
        "push --registry host.invalid/x --output pyproject.toml/x",
        "push",
        "promote release.json --to host.invalid/UPPER",
        "promote",
        "debug",
        "debug --comand ls",
        "explain",
        "logs --service",
        "verify --image --static",
        "--help nosuch",
        "--list docs",
        "--print-completion-script nosuch",
        "deploy --host a --context b",
        "build --load --push host.invalid/x",
    ],
)
def test_wrong_value_ends_with_2_before_any_work(words, run, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", "/nowhere")  # a docker client would be missing: status 3
    status, output, messages = run(*shlex.split(words))
    assert (status, output) == (2, ""), messages
    assert re.match(r"✗ [^\n]+\n→ [^\n]+\n\Z", messages), messages


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        ("stauts", "status"),
        ("verfy", "verify"),
        ("run_api", "run-api"),
        ("verify --formt json", "--format"),
        ("verify --statc", "--static"),
        ("down --volume", "--volumes"),
        ("--hlep", "--help"),
        ("up --vesion", "--version"),
        ("explain user.nonrot", "user.nonroot"),
        ("verify --only secrt", "secret"),
    ],
)
def test_typo_gets_a_suggestion(words, suggestion, run):
    status, _, messages = run(*words.split())
    assert status == 2
    assert f"→ did you mean `{suggestion}`? " in messages


@pytest.mark.parametrize("words", ["start", "verify api", "up --frobnicate"])
def test_word_without_a_near_one_gets_no_suggestion(words, run):
    assert "did you mean" not in run(*words.split())[2]


def test_debug_shows_a_traceback_in_either_place_and_not_after_a_double_dash(monkeypatch, capsys):
    monkeypatch.setattr("imageproof.signals.install_handlers", lambda: None)
    monkeypatch.setattr("imageproof.console.messages", _console)
    for words, shown in [
        (["-d", "explain", "nope"], True),
        (["explain", "nope", "--debug"], True),
        (["explain", "nope", "--", "--debug"], False),
    ]:
        with pytest.raises(SystemExit):
            make_program(namespace, "./inv").run(["./inv", *words])
        assert ("Traceback" in capsys.readouterr().err) is shown


def test_completion_script_completes_commands_and_options(tmp_path):
    environment = os.environ | {"IMAGEPROOF_ROOT": str(ROOT)}
    command = [sys.executable, str(ROOT / "tasks.py"), "--print-completion-script", "bash"]
    script = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (tmp_path / "inv").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tasks.py"} "$@"\n')
    (tmp_path / "inv").chmod(0o755)
    for words, expected in [("./inv stat", "status"), ("./inv down --vol", "--volumes")]:
        lines = f"COMP_WORDS=({words}); f=$(complete -p ./inv | sed 's/.*-F //; s/ .*//')"
        last = words.split()[-1]
        result = subprocess.run(
            ["bash", "-c", f"{script}\n{lines}\n$f ./inv {last}\necho ${{COMPREPLY[@]}}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert result.stdout.strip() == expected, result.stderr


def test_output_is_readable_where_only_ascii_can_be_printed():
    for encoding, has_glyph in [("ascii", False), ("latin-1", False), ("utf-8", True)]:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            console.replace_unencodable()
            stream.write("» build\n✓ done … ✗ no → hint ┏ 漢\n")
            stream.flush()
        text = stream.buffer.getvalue().decode(encoding)
        if has_glyph:
            assert "✓ done …" in text
        else:
            assert "+ done ... x no => hint ? ?" in text


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
@pytest.mark.parametrize("words", [["explain", "all"], ["explain", "nope"], ["doctor"]])
def test_commands_print_without_utf_8(variables, words):
    result = subprocess.run(
        [sys.executable, str(ROOT / "tasks.py"), *words],
        capture_output=True,
        env=os.environ | variables | {"PATH": "/nowhere", "IMAGEPROOF_ROOT": str(ROOT)},
    )
    text = (result.stdout + result.stderr).decode("latin-1")
    assert "Unicode" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("line", ["down clean --dry-run", "down --dry-run down", "up -d clean"])
def test_dry_run_of_only_some_commands_is_refused_before_the_first(run, line):
    status, output, messages = run(*line.split())
    assert status == 2
    assert "--dry-run is missing after" in messages
    assert not output
