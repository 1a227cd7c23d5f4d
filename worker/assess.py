"""Assessment of an upgrade in a process of its own (``worker/assess_child.py``).

It reads untrusted texts, so its time and memory are limited, and it can be killed.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from app.reviews import Finding, Model, Statistics
from worker.child import Bounds, Child, ChildError, Children, python_command
from worker.failure import ReviewError, ended, killed

_MIB = 1024 * 1024
BOUNDS = Bounds(seconds=60, data_bytes=320 * _MIB, output_bytes=32 * _MIB)
"""The most expensive upgrade that the limits of the comparison allow takes about half of each."""
_PART = "assessment"


class Assessed(Model):
    """Result of an assessment: all that the rest of a review needs."""

    from_version: str
    to_version: str
    risk: float
    findings: tuple[Finding, ...]
    statistics: Statistics
    diff: str
    diff_truncated: bool
    llm_data: str  # description of the upgrade for the language model; empty if it is disabled


Assess = Callable[[str, bytes], Assessed]
"""Function that assesses a package's diff, as the diff program answers it."""


@dataclass(frozen=True)
class Assessor:
    """Assessor of upgrades.

    Attributes:
        for_llm: whether the language model needs a description.
        bounds: limits of one assessment.
    """

    for_llm: bool = False
    bounds: Bounds = BOUNDS

    @contextmanager
    def start(self, children: Children) -> Iterator[Assess]:
        """Start the process, which loads its modules until it is needed: a tenth of a second.

        The function that it yields raises ReviewError if a limit was exceeded or the assessment
        failed, and Cancelled if the job was cancelled.

        Raises:
            ReviewError: the process cannot be started.
            Cancelled: the job was cancelled.
        """
        try:
            with children.start(python_command("worker.assess_child"), self.bounds) as child:
                yield partial(self._assess, child)
        except ChildError as error:
            raise killed(_PART, error) from error

    def _assess(self, child: Child, package: str, answer: bytes) -> Assessed:
        header = json.dumps({"package": package, "for_llm": self.for_llm}).encode()
        result = child.answer(header + b"\n" + answer)
        if result.exit_status != 0:
            raise ended(_PART, result, self.bounds)
        try:
            return Assessed.model_validate_json(result.stdout)
        except ValidationError as error:
            raise ReviewError("crashed", f"{_PART}: its answer is invalid") from error
