"""The command line: Invoke's program, with exit status 2 for a wrong command line.

Without a command it lists all commands by group. `invoke COMMAND` works as well.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from imageproof import __version__, console, signals
from imageproof.cli.command import GROUPS, report_error

BROKEN_PIPE_STATUS = 141  # 128 + SIGPIPE, as shells report it


class CommandLine(Program):
    """The command line of `./inv`."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002 - Invoke's
        """Run a command line as Invoke does; end silently if the reader is gone (`| head`)."""
        signals.install_handlers()
        try:
            try:
                super().run(argv, exit)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            console.discard_output()
            sys.exit(BROKEN_PIPE_STATUS)
        except OSError as error:  # from Invoke's own output; commands report their own
            status = report_error(error)
            console.discard_output()
            sys.exit(status)

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the core options; exit with status 2 if they are wrong."""
        # Invoke disables bytecode, because of stale tasks.pyc. Restore it: otherwise each start
        # would compile the modules that commands import.
        dont_write_bytecode = sys.dont_write_bytecode
        _report_parse_error(super().parse_core, argv)
        sys.dont_write_bytecode = dont_write_bytecode
        # --debug prints this program's tracebacks, not the log of Invoke's parser.
        logging.getLogger("invoke").setLevel(logging.WARNING)

    def parse_tasks(self) -> None:
        """Parse the commands; exit with status 2 if they are wrong."""
        _report_parse_error(super().parse_tasks)

    def parse_cleanup(self) -> None:
        """Print help; exit with status 2 for an unknown command."""
        _report_parse_error(super().parse_cleanup)

    def no_tasks_given(self) -> None:
        """List the commands in their groups."""
        lines = ["./inv COMMAND [--option] [COMMAND …]     ./inv --help COMMAND\n"]
        assert self.namespace is not None
        for group, names in GROUPS.items():
            lines.append(f"{group}:")
            lines += [f"  {name:<10} {_summary(self.namespace, name)}" for name in names]
        console.write("\n".join(lines))
        raise Exit


def _summary(collection: Collection, name: str) -> str:
    doc = collection[name].__doc__ or ""
    return str(doc.strip().splitlines()[0])


def _report_parse_error(parse: Any, *arguments: Any) -> None:
    """Call a parser of Invoke; if it fails, exit with status 2 and a hint."""
    try:
        parse(*arguments)
    except ParseError as error:
        hint = "→ `./inv` lists the commands, `./inv --help COMMAND` its options"
        raise Exit(f"✗ reading the command line: {error}\n{hint}", 2) from error


def make_program(collection: Collection) -> Program:
    """Return the command line of a collection of commands."""
    return CommandLine(name="inv", binary="inv", namespace=collection, version=__version__)
