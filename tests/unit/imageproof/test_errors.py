"""imageproof.errors: one tree, a status a branch, and nothing secret or endless in what it says."""

from __future__ import annotations

import errno
import re

import pytest

from imageproof import errors
from imageproof.errors import TAIL_LINES, ImageproofError, unexpected_error

STATUSES = {"ImageproofError": 1, "Violation": 1, "UsageError": 2, "MachineError": 3}


def _drawn() -> dict[str, str]:
    """The tree of the docstring: each class and the one above it."""
    above: dict[int, str] = {}
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^    (?P<lines>[│├└─ ]*)(?P<name>[A-Z]\w+)(?:\s{2,}.*)?$", line):
            depth = len(match["lines"]) // 4
            above[depth] = match["name"]
            found[match["name"]] = above[depth - 1] if depth else "Exception"
    return found


def _classes() -> dict[str, type[ImageproofError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, ImageproofError)
    }


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes():
    assert len(_drawn()) > 10
    assert _drawn() == {name: made.__base__.__name__ for name, made in _classes().items()}


def test_all_names_every_error_and_nothing_that_is_not_there():
    assert set(errors.__all__) == {*_classes(), "unexpected_error"}


@pytest.mark.parametrize("name", sorted(_classes()))
def test_the_status_is_that_of_the_branch_in_the_docstring(name):
    branch = name
    while branch not in STATUSES:
        branch = _drawn()[branch]
    assert _classes()[name].status == STATUSES[branch]


@pytest.mark.parametrize(
    ("branch", "status"), [("Violation", 1), ("UsageError", 2), ("MachineError", 3)]
)
def test_the_docstring_tells_each_branch_its_status(branch, status):
    assert re.search(rf"─ {branch} +{status}  \w", errors.__doc__ or "")
    assert _classes()[branch].status == status


@pytest.mark.parametrize("count", [0, 1, TAIL_LINES - 1, TAIL_LINES, TAIL_LINES + 1, 5000])
def test_the_tail_holds_the_last_lines_only(count):
    lines = [f"line {number}" for number in range(count)]
    error = ImageproofError("building", "it failed", tail=iter(lines))
    assert error.tail == tuple(lines[max(0, count - TAIL_LINES) :])


def test_an_error_reads_as_what_was_done_and_what_happened():
    error = ImageproofError("building api", "it failed", hint="look")
    assert (str(error), error.hint) == ("building api: it failed", "look")


def test_an_unforeseen_error_is_named_as_a_defect_with_its_first_line():
    cause = KeyError("State\nsecond line")
    error = unexpected_error(cause)
    assert error.cause == "a defect: KeyError"
    assert error.tail == ("'State\\nsecond line'",)
    assert error.__cause__ is cause
    assert error.status == 1


def test_an_unforeseen_error_does_not_show_a_command_line():
    secret = "hunter" + "2" * 8
    error = unexpected_error(RuntimeError(f"The command executed was `x --build-arg T={secret}`.\nmore"))
    assert secret not in f"{error} {error.tail} {error.hint}"
    assert error.tail == ()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_defect(number):
    """Wherever something is written; the file is named where it is known."""
    error = unexpected_error(OSError(number, "full", "/there/kept.json"))
    assert (error.cause, error.status) == ("no space is left on this machine", 3)
    assert error.tail == ("/there/kept.json",)
    assert unexpected_error(OSError(number, "full")).tail == ()
    assert unexpected_error(OSError(errno.EIO, "broken")).status == 1
