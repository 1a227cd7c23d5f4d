"""Tests of the documentation: its links, commands, variables, paths and checks exist."""

from __future__ import annotations

import fnmatch
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from dotenv import dotenv_values
from invoke.exceptions import ParseError
from invoke.parser import Parser

from app.config import ApiSettings, WorkerSettings
from imageproof.checks import REGISTRY
from imageproof.cli.command import GROUPS
from imageproof.cli.program import make_program
from ops.tasks import namespace

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
MAX_README_LINES = 150
# Variables that `./inv build` sets: users do not.
SET_BY_BUILD = {"BASE_DIGEST", "REVISION"}
# Names that look like a path or a check: images (one has an old name), and labels.
IMAGES = {"imageproof/python-base", "ops/python-base"}
LABELS = {"base.digest"}
# Paths on a developer's machine: no page needs them.
DEVELOPER_PATH = re.compile(r"(?<![\w.-])(?:/home/|/Users/|/work/|/workspaces?/|file://|[A-Z]:\\)")


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=page_name)


@cache
def repository_paths() -> frozenset[str]:
    """Return each file of the repository and its folders; ignored files are not part of it."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    files = [Path(name) for name in listing.split("\0") if name and (ROOT / name).exists()]
    paths = {path.as_posix() for file in files for path in (file, *file.parents)}
    return frozenset(paths - {"."})


def without_code_blocks(text: str) -> str:
    text = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4,}.*$", "", text, flags=re.MULTILINE)


def code_spans(page: Path) -> list[str]:
    """Return the inline code of a page; a span may continue in the next line."""
    text = without_code_blocks(page.read_text())
    return [" ".join(span.split()) for _, span in re.findall(r"(`+)(.+?)\1", text, re.DOTALL)]


def code_lines(page: Path) -> list[str]:
    """Return the lines of a page's code blocks; a line that ends with a backslash continues."""
    text = page.read_text().replace("\\\n", " ")
    fenced = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [*"".join(fenced).splitlines(), *re.findall(r"^ {4,}(.+)$", text, re.MULTILINE)]


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, down to the next heading."""
    after = page.read_text().partition(f"\n{heading}\n")[2]
    assert after, f"{page_name(page)} has no heading {heading!r}"
    return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str) -> list[list[str]]:
    """Return the cells of the first table of a text, without its heading."""
    rows = re.search(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    assert rows, "there is no table"
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows[0].splitlines()]
    return [[cell.strip() for cell in row] for row in cells[2:]]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    repetitions: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.+)$", without_code_blocks(page.read_text()), re.MULTILINE):
        text = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading).replace("\\", "")
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        repetitions[slug] = repetitions.get(slug, -1) + 1
        if repetitions[slug]:
            repetitions[f"{slug}-{repetitions[slug]}"] = 0
    return set(repetitions)


def broken_links(page: Path) -> Iterator[str]:
    text = re.sub(r"(`+).+?\1", "", without_code_blocks(page.read_text()), flags=re.DOTALL)
    for target in re.findall(r"\]\(<?([^)\s>]+)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.is_relative_to(ROOT) or page_name(file) not in repository_paths():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{target}: no such heading"


@each_page
def test_links_and_anchors_resolve(page: Path):
    if problems := list(broken_links(page)):
        pytest.fail("\n".join(problems))


def test_readme_is_short():
    lines = len((ROOT / "README.md").read_text().splitlines())
    assert lines <= MAX_README_LINES, f"README.md has {lines} lines"


def test_readme_names_every_command_in_its_group():
    group_of: dict[str, str] = {}
    group = ""
    for first_cell, commands, _ in table(section(ROOT / "README.md", "## Commands")):
        group = first_cell or group  # an empty cell continues the group above
        group_of |= dict.fromkeys(re.findall(r"`([\w-]+)`", commands), group)
    assert group_of.keys() == set(namespace.task_names)
    for command, group in group_of.items():
        assert command in GROUPS[group], f"{command} is not in the group {group}"


CONFIGURATION = ROOT / "docs/configuration.md"
SETTINGS = {"API": ApiSettings, "worker": WorkerSettings}


def documented_variables() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, default, readers and meaning of each row of the environment table."""
    for names, default, readers, meaning in table(
        section(CONFIGURATION, "## Environment variables")
    ):
        for name in re.findall(r"`(\w+)`", names):
            yield name, "" if default == "empty" else default.strip("`"), readers, meaning


def interpolated_variables() -> dict[str, str]:
    """Return the variables of compose.yaml and compose/stack.yaml that users set, with defaults."""
    files = "".join((ROOT / name).read_text() for name in ("compose.yaml", "compose/stack.yaml"))
    uses = re.findall(r"\$\{(\w+):([-?])([^}]*)\}", files)
    required = {name for name, operator, _ in uses if operator == "?"}  # `./inv deploy` sets these
    build_files = {
        name
        for row in table(section(CONFIGURATION, "### Mirrors, a corporate CA, no registry"))
        for cell in (row[0], row[2])
        for name in re.findall(r"`([A-Z_]+)`", cell)
    }
    names = set(re.findall(r"\$\{(\w+)", files)) - required - build_files - SET_BY_BUILD
    defaults = {name: default for name, _, default in uses}
    return {name: defaults[name] for name in names}


def test_environment_table_has_the_variables_and_defaults_of_env_example():
    example = dotenv_values(ROOT / ".env.example")
    assert {name: default for name, default, _, _ in documented_variables()} == example


def test_environment_table_has_the_variables_and_defaults_of_the_stacks():
    documented = {name: default for name, default, _, _ in documented_variables()}
    interpolated = interpolated_variables()
    assert interpolated.keys() == documented.keys()
    for name, default in interpolated.items():
        # An empty variable has the default of the compose file, as if it were unset.
        assert documented[name] in (default, ""), name


def test_environment_table_agrees_with_the_settings_classes():
    expected: dict[str, tuple[str, set[str], bool]] = {}
    for reader, settings in SETTINGS.items():
        for field, info in settings.model_fields.items():
            default = "" if info.default is None else str(info.default)
            _, readers, _ = expected.get(field.upper(), ("", set(), False))
            secret = "Secret" in repr(info.annotation)
            expected[field.upper()] = (default, readers | {reader}, secret)
    documented = {
        name: (default, set(readers.split(", ")), meaning.startswith("secret:"))
        for name, default, readers, meaning in documented_variables()
        if SETTINGS.keys() & set(readers.split(", "))
    }
    assert documented == expected


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command line in a page, without `./inv` and what follows a pipe."""
    for code in [*code_spans(page), *code_lines(page)]:
        for line in re.findall(r"(?:\./inv|\binvoke) +([^|>&;#()…─]+)", code):
            words = shlex.split(line)
            yield words[: words.index("COMMAND")] if "COMMAND" in words else words
    for span in code_spans(page):  # `verify --deep`
        words = span.split("…")[0].split()
        if len(words) > 1 and words[0] in namespace.task_names and words[1].startswith("--"):
            yield words


def unknown_commands(page: Path) -> Iterator[str]:
    core = make_program(namespace, "./inv").initial_context
    for words in command_lines(page):
        argv = [re.sub(r"HOST(/PREFIX)?", "host.invalid/shop", word) for word in words]
        try:
            Parser(initial=core, contexts=namespace.to_contexts()).parse_argv(argv)
        except ParseError as error:
            # A sentence may name an option without its value, or a command without its argument.
            if not re.search("needed value|required positional", str(error)):
                yield f"./inv {shlex.join(words)}: {error}"


@each_page
def test_commands_and_options_exist(page: Path):
    if problems := list(unknown_commands(page)):
        pytest.fail("\n".join(problems))


def missing_paths(page: Path) -> Iterator[str]:
    paths = repository_paths()
    roots = {path for path in paths if "/" not in path}
    for span in code_spans(page):
        path = span.rstrip("/")
        if span in IMAGES or not re.fullmatch(r"[\w.@*-]+(/[\w.@*-]+)*", path):
            continue
        is_path = path.partition("/")[0] in roots and "/" in span
        if is_path or re.fullmatch(r"[\w/]+\.(?:py|mjs|prune)|Dockerfile\.\w+", path):
            pattern = path if is_path else f"*/{path}"
            if not any(fnmatch.fnmatchcase(existing, pattern) for existing in paths):
                yield span


@each_page
def test_paths_in_backticks_exist(page: Path):
    if problems := list(missing_paths(page)):
        pytest.fail("\n".join(problems))


@each_page
def test_checks_exist(page: Path):
    prefixes = {id_.partition(".")[0] for id_ in REGISTRY}
    contract = (ROOT / "docs/contract.md").read_text()
    keys = set(re.findall(r"^\| `([\w.]+)` \|", contract, re.MULTILINE))
    ids = {
        span
        for span in code_spans(page)
        if re.fullmatch(r"[a-z]+\.[a-z-]*[a-z]", span) and span.partition(".")[0] in prefixes
    }
    files = {span for span in ids if re.search(r"\.(ya?ml|py|json|mjs)$", span)}
    assert ids - files - keys - LABELS <= REGISTRY.keys()


def test_pages_contain_no_path_of_a_developers_machine():
    for file in [*PAGES, *(ROOT / "docs").glob("*.json"), *(ROOT / "docs").glob("*.svg")]:
        text = file.read_text()
        assert not DEVELOPER_PATH.search(text), f"{file.name}: {DEVELOPER_PATH.search(text)}"
        if len(ROOT.parts) > 2:
            assert str(ROOT) not in text, file.name
