"""Output on the terminal. Only this module and imageproof.report print.

Messages go to standard error, results to standard output, so that `./inv verify --format json
| jq` works. rich omits colour without a terminal, or if NO_COLOR is set.
"""

from __future__ import annotations

import codecs
import functools
import io
import os
import re
import select
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageproof.errors import ImageproofError
from imageproof.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STANDARD_OUTPUTS = (1, 2)  # file descriptors of standard output and standard error
FILE_COLUMNS = 160  # width without a terminal: no table is cut


@dataclass
class _Settings:
    """Settings of the output, from the command line."""

    program: str = "./inv"  # as the user calls it
    tracebacks: bool = False  # print the traceback of each error


_settings = _Settings()


def set_program_name(name: str) -> None:
    """Set how the user calls this program, for the commands in hints."""
    _settings.program = name


def show_tracebacks(show: bool) -> None:
    """Set whether the traceback of each error is printed."""
    _settings.tracebacks = show


def with_program_name(text: str) -> str:
    """Return a text in which `./inv COMMAND` is called as the user calls this program."""
    return re.sub(r"\./inv\b", lambda _: _settings.program, text)


# Characters of this program's messages, for a terminal or file that has only ASCII.
ASCII = str.maketrans(
    {"»": ">", "✓": "+", "✗": "x", "→": "=>", "│": "|", "…": "...", "·": "-", "×": "x"}  # noqa: RUF001
)


def replace_unencodable() -> None:
    """Print characters that standard output or standard error cannot encode as ASCII."""
    codecs.register_error("imageproof", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="imageproof")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(ASCII)
    return text.encode("ascii", "replace").decode(), error.end


@functools.cache
def messages() -> Console:
    """Return the console for progress and errors, on standard error."""
    return _console(stderr=True)


@functools.cache
def results() -> Console:
    """Return the console for results, on standard output."""
    return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class PipedConsole(Console):
        def on_broken_pipe(self) -> None:
            """Raise the error; rich's own method exits with status 1."""
            raise BrokenPipeError

    console = PipedConsole(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    return console


def say(text: str, *, style: str | None = None) -> None:
    """Print a line of progress."""
    messages().print(text, style=style, markup=False)


def step(text: str) -> None:
    """Print the line that begins a step, such as `build`."""
    messages().print(f"» {text}", style="bold", markup=False)


def done(text: str) -> None:
    """Print the line that ends a successful step."""
    messages().print(f"✓ {text}", style="green", markup=False)


def warn(text: str) -> None:
    """Print a warning."""
    messages().print(f"! {text}", style="yellow", markup=False)


def show(result: RenderableType) -> None:
    """Print a result for people, such as a table."""
    results().print(result)


def write(text: str) -> None:
    """Print a result for programs: no markup, no wrapping, one newline at the end."""
    file = results().file
    file.write(text.rstrip("\n") + "\n")
    file.flush()  # through a pipe, `logs --follow` must show each line at once


def open_closed_outputs() -> None:
    """Send outputs that the caller has closed (`>&-`) to /dev/null."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= max(STANDARD_OUTPUTS):
        pass  # the lowest free descriptor: it stays open in place of a closed one
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(STANDARD_OUTPUTS[0], "w")
    sys.stderr = sys.stderr or os.fdopen(STANDARD_OUTPUTS[1], "w")


def is_output_closed() -> bool:
    """Return whether standard output or standard error is a pipe whose reader has ended."""
    return bool(_outputs_with_event(select.POLLERR))


def discard_output(descriptors: Sequence[int] = STANDARD_OUTPUTS) -> None:
    """Send all further output, buffered text included, to /dev/null."""
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(null, descriptor)


def discard_closed_terminal() -> None:
    """Send output for a closed terminal to /dev/null: each printed line would raise an error."""
    discard_output(_outputs_with_event(select.POLLHUP))


def _outputs_with_event(event: int) -> list[int]:
    """Return the descriptors of STANDARD_OUTPUTS for which poll(2) reports an event."""
    poll = select.poll()
    for descriptor in STANDARD_OUTPUTS:
        poll.register(descriptor, 0)
    return [descriptor for descriptor, events in poll.poll(0) if events & event]


def render_error(error: ImageproofError) -> None:
    """Print an error: what was being done, what happened, the log's tail, what to do next."""
    out = messages()
    if _settings.tracebacks:
        # python-on-whales' exceptions contain the command line, which can hold a secret.
        out.print(redact("".join(traceback.format_exception(error))), markup=False, style="dim")
    out.print(f"✗ {error.action}: {error.cause}", style="bold red", markup=False)
    for line in error.tail:
        out.print(f"  │ {line}", markup=False)
    if error.hint:
        out.print(f"→ {with_program_name(error.hint)}", style="cyan", markup=False)
