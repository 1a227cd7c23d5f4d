"""What a person sees: the one place, with imageproof.report, that prints.

Messages go to standard error, results to standard output, so that `./inv verify --format json
| jq` works. rich leaves colour out where the output is no terminal or NO_COLOR is set.
"""

from __future__ import annotations

import functools
import os
import select
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageproof.errors import ImageproofError
from imageproof.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


@functools.cache
def messages() -> Console:
    """The console of progress and errors, on standard error."""
    return _console(stderr=True)


@functools.cache
def results() -> Console:
    """The console of what was asked for, on standard output."""
    return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            """As of any other file; rich's own ends the program, with status 1."""
            raise BrokenPipeError

    made = Piped(stderr=stderr, highlight=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


OUTPUTS = (1, 2)  # standard output and standard error
PLAIN_WIDTH = 160  # columns: a log file has no width, and a table must not be cut there


def say(text: str, *, style: str | None = None) -> None:
    """One line of what is being done, or was."""
    messages().print(text, style=style, markup=False)


def step(text: str) -> None:
    """A line that begins a step of the line: `build`, `verify`, …"""
    messages().print(f"» {text}", style="bold", markup=False)


def done(text: str) -> None:
    """A line that ends a step well."""
    messages().print(f"✓ {text}", style="green", markup=False)


def warn(text: str) -> None:
    """Something that works but should be known."""
    messages().print(f"! {text}", style="yellow", markup=False)


def show(result: RenderableType) -> None:
    """A result for people: a table, a line."""
    results().print(result)


def write(text: str) -> None:
    """A result as it is, for machines: no markup, no wrapping, one newline at the end."""
    file = results().file
    file.write(text.rstrip("\n") + "\n")
    file.flush()  # whoever reads a pipe, as of `logs --follow`, is waiting for this line


def is_unread() -> bool:
    """Whether nobody can read any more what is printed: it goes into a pipe to what has ended."""
    return bool(_outputs(select.POLLERR))


def _outputs(event: int) -> list[int]:
    """Those of which poll(2) tells this."""
    poll = select.poll()
    for descriptor in OUTPUTS:
        poll.register(descriptor, 0)
    return [descriptor for descriptor, found in poll.poll(0) if found & event]


def discard(outputs: Sequence[int] = OUTPUTS) -> None:
    """Let all that is still printed go nowhere, what is kept back until the end included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in outputs:
        os.dup2(nowhere, descriptor)


def leave_terminal() -> None:
    """Print no more to a terminal that was closed: each line would be an error."""
    discard(_outputs(select.POLLHUP))


def render_error(error: ImageproofError, *, debug: bool = False) -> None:
    """Show a failure: what was being done, what happened, the log's tail, what to do next."""
    out = messages()
    if debug:
        # The engine's client puts its whole command line into its exceptions.
        out.print(redact("".join(traceback.format_exception(error))), markup=False, style="dim")
    out.print(f"✗ {error.action}: {error.cause}", style="bold red", markup=False)
    for line in error.tail:
        out.print(f"  │ {line}", markup=False)
    if error.hint:
        out.print(f"→ {error.hint}", style="cyan", markup=False)
