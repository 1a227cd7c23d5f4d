"""Tests of worker.risk.new_matches: matches that were moved or indented are not new."""

import pytest

from tests.support.upgrades import NOW, changed_file, upgrade
from worker.change import FileChange
from worker.risk import SIGNALS

EVAL = SIGNALS["code.eval"]


def _lines(*files: FileChange) -> list[int | None]:
    """Return the line numbers in which `code.eval` is found."""
    return [finding.line for finding in EVAL.detect(upgrade(*files), NOW)]


def test_a_finding_names_file_and_line_in_the_new_version():
    (finding,) = EVAL.detect(upgrade(changed_file("lib/a.js", "ok()", "eval(x)", start=41)), NOW)
    assert (finding.path, finding.line, finding.signal) == ("lib/a.js", 42, "code.eval")
    assert finding.text == "runs text as code: eval(x)"


@pytest.mark.parametrize(
    ("removed_lines", "lines"),
    [
        (("eval(x)",), []),
        (("\t  eval( x )  ",), []),  # other spaces
        (("eval(y)",), [10]),  # another argument
        (("eval(x)", "eval(x)"), []),
    ],
)
def test_a_moved_line_is_not_new(removed_lines: tuple[str, ...], lines: list[int]):
    assert _lines(changed_file("a.js", "  eval(x)", removed_lines=removed_lines)) == lines


def test_other_quotes_and_a_node_prefix_are_not_new():
    file = changed_file(
        "a.js", 'import x from "node:http"', removed_lines=("import x from 'http'",)
    )
    assert list(SIGNALS["code.network"].detect(upgrade(file), NOW)) == []


def test_two_matches_in_one_line_are_one_finding():
    assert _lines(changed_file("a.js", "eval(x); more(); " + "y;" * 40 + "eval(z)")) == [10]


def test_a_removed_line_cancels_one_added_line_only():
    assert _lines(changed_file("a.js", "eval(x)", "b", "eval(x)", removed_lines=("eval(x)",))) == [
        12
    ]


def test_a_removed_line_of_another_file_cancels_nothing():
    """Otherwise an attacker could add code to a test first and move it later."""
    other = changed_file("test/a.js", removed_lines=("eval(x)",))
    assert _lines(other, changed_file("a.js", "eval(x)")) == [10]


def test_a_removed_line_is_not_a_finding():
    assert _lines(changed_file("a.js", removed_lines=("eval(x)",))) == []


@pytest.mark.parametrize("comment", ["// eval(x)", "* Calls code by eval(x)", "/* eval(x)"])
def test_a_removed_comment_cancels_no_code(comment: str):
    """Otherwise an attacker could add code as a comment first and uncomment it later."""
    assert _lines(changed_file("a.js", "eval(x)", removed_lines=(comment,))) == [10]
    assert _lines(changed_file("a.js", "  " + comment, removed_lines=(comment,))) == []
    assert _lines(changed_file("a.js", comment, removed_lines=("eval(x)",))) == []


@pytest.mark.parametrize(
    "line",
    [
        "// eval(x)",
        "  // don't eval(x)",
        "// as in `eval(x)`",
        "/* eval(x)",
        " * Runs code by eval(x)",
        " * @see eval(x)",
        " * const y = eval(x)",
    ],
)
def test_a_comment_weighs_a_quarter(line: str):
    (finding,) = EVAL.detect(upgrade(changed_file("a.js", line)), NOW)
    assert finding.weight == 0.1


@pytest.mark.parametrize(
    "line",
    [
        "* eval(x)",  # multiplication, or a generator's name
        "* (() => eval(x))()",
        "* typeof eval(x)",
        "* await eval(x)",
        "* a in eval(x)",
        "* as y from 'a'; eval(x)",  # after `import`
        "//${eval(x)}",  # in a template
        "// ` + eval(x)",
        "// ` in eval(x)",
        '// " + eval(x)',  # after a line that ends with a backslash
        "// */ eval(x)",
        "* Runs code */ eval(x)",
        "/*/ eval(x)",
        "// a\reval(x)",  # ends of a line for JavaScript
        "// a\u2028eval(x)",
        "// a\u2029eval(x)",
    ],
)
def test_a_line_that_may_be_code_has_full_weight(line: str):
    (finding,) = EVAL.detect(upgrade(changed_file("a.js", line)), NOW)
    assert finding.weight == 0.4
