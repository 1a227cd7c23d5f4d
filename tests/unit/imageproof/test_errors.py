"""Tests of the error tree, and of unexpected exceptions."""

from __future__ import annotations

import errno
import os
import re

import pytest

from imageproof import errors
from imageproof.errors import MAX_TAIL_LINES, ImageproofError, unexpected_error

STATUSES = {"ImageproofError": 1, "Violation": 1, "UsageError": 2, "MachineError": 3}


def _documented_tree() -> dict[str, str]:
    """The tree in the docstring: each class with its base class."""
    last_at_depth: dict[int, str] = {}
    tree = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^    (?P<lines>[│├└─ ]*)(?P<name>[A-Z]\w+)(?:\s{2,}.*)?$", line):
            depth = len(match["lines"]) // 4
            last_at_depth[depth] = match["name"]
            tree[match["name"]] = last_at_depth[depth - 1] if depth else "Exception"
    return tree


def _classes() -> dict[str, type[ImageproofError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, ImageproofError)
    }


def test_docstring_shows_the_class_tree():
    assert len(_documented_tree()) > 10
    assert _documented_tree() == {name: cls.__base__.__name__ for name, cls in _classes().items()}


def test_all_lists_every_error():
    assert set(errors.__all__) == {*_classes(), "unexpected_error"}


@pytest.mark.parametrize("name", sorted(_classes()))
def test_status_is_that_of_the_branch(name):
    branch = name
    while branch not in STATUSES:
        branch = _documented_tree()[branch]
    assert _classes()[name].status == STATUSES[branch]


@pytest.mark.parametrize(
    ("branch", "status"), [("Violation", 1), ("UsageError", 2), ("MachineError", 3)]
)
def test_docstring_shows_the_status_of_each_branch(branch, status):
    assert re.search(rf"─ {branch} +{status}  \w", errors.__doc__ or "")
    assert _classes()[branch].status == status


@pytest.mark.parametrize(
    "count", [0, 1, MAX_TAIL_LINES - 1, MAX_TAIL_LINES, MAX_TAIL_LINES + 1, 5000]
)
def test_tail_is_limited_to_the_last_lines(count):
    lines = [f"line {number}" for number in range(count)]
    error = ImageproofError("building", "it failed", tail=iter(lines))
    assert error.tail == tuple(lines[max(0, count - MAX_TAIL_LINES) :])


def test_text_of_an_error_is_action_and_cause():
    error = ImageproofError("building api", "it failed", hint="look")
    assert (str(error), error.hint) == ("building api: it failed", "look")


def test_unexpected_exception_is_a_defect_with_its_first_line():
    cause = KeyError("State\nsecond line")
    error = unexpected_error(cause)
    assert error.cause == "a defect of this program: KeyError"
    assert error.tail == ("'State\\nsecond line'",)
    assert error.__cause__ is cause
    assert error.status == 1


def test_unexpected_exception_does_not_show_a_command_line():
    secret = "hunter" + "2" * 8
    error = unexpected_error(
        RuntimeError(f"The command executed was `x --build-arg T={secret}`.\nmore")
    )
    assert secret not in f"{error} {error.tail} {error.hint}"
    assert error.tail == ()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_not_a_defect(number):
    error = unexpected_error(OSError(number, "full", "/data/store.json"))
    assert (error.cause, error.status) == ("no space is left on this machine", 3)
    assert error.tail == ("/data/store.json",)
    assert unexpected_error(OSError(number, "full")).tail == ()


@pytest.mark.parametrize(
    "number", [errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.EIO]
)
def test_refusal_of_the_machine_is_not_a_defect(number):
    error = unexpected_error(OSError(number, "refused", "/data/store.json"))
    assert error.status == 3
    assert error.cause == f"/data/store.json: {os.strerror(number)}"
    assert error.hint


def test_other_operating_system_error_is_a_defect():
    assert unexpected_error(OSError(errno.ENOENT, "missing", "/x")).status == 1
