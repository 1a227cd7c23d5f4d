"""The command line: Invoke's program, with exit status 2 for a wrong command line.

Without a command it lists all commands by group. `invoke COMMAND` works as well.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.context import ParserContext
from invoke.program import Program

from imageproof import __version__, console, signals
from imageproof.cli import core_options, wrong_words
from imageproof.cli.command import GROUPS, report_error
from imageproof.errors import UsageError

BROKEN_PIPE_STATUS = 141  # 128 + SIGPIPE, as shells report it


class CommandLine(Program):
    """The command line of `./inv` and of `imageproof`."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002 - Invoke's
        """Run a command line as Invoke does; end silently if the reader is gone (`| head`)."""
        signals.install_handlers()
        console.open_closed_outputs()
        console.replace_unencodable()
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

    @property
    def initial_context(self) -> ParserContext:
        """The parser's view of the core options: only those that have a meaning here."""
        return core_options.make_context(self.core_args())

    def create_config(self) -> None:
        """Make Invoke's configuration, without the user's files for other projects' tasks."""
        self.config = self.config_class(lazy=True)
        self.config.merge()

    def update_config(self, merge: bool = True) -> None:
        """Change nothing: the options that set Invoke's configuration are not accepted."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the core options; exit with status 2 if they are wrong."""
        # Invoke disables bytecode, because of stale tasks.pyc. Restore it: otherwise each start
        # would compile the modules that commands import.
        dont_write_bytecode = sys.dont_write_bytecode
        self._report_parse_error(super().parse_core, argv)
        sys.dont_write_bytecode = dont_write_bytecode
        # --debug prints this program's tracebacks, not the log of Invoke's parser.
        logging.getLogger("invoke").setLevel(logging.WARNING)

    def parse_tasks(self) -> None:
        """Parse the commands; exit with status 2 if they are wrong."""
        self._report_parse_error(super().parse_tasks)
        console.show_tracebacks(self.args.debug.value)
        self._refuse_partial_dry_run()

    def _refuse_partial_dry_run(self) -> None:
        """Refuse `down clean --dry-run`, of which `down` would be no dry run."""
        commands = [task for task in self.tasks if "dry-run" in task.args]
        real = [str(task.name) for task in commands if not task.args["dry-run"].value]
        if real and len(real) < len(commands):
            error = UsageError(
                wrong_words.ACTION,
                f"--dry-run is missing after {' and '.join(real)}",
                hint="give each command its own: `./inv down --dry-run clean --dry-run`",
            )
            raise Exit(code=report_error(error))

    def parse_cleanup(self) -> None:
        """Print help; exit with status 2 for an unknown command."""
        if self.args.list.value:
            self.no_tasks_given()
        self._report_parse_error(super().parse_cleanup)

    def no_tasks_given(self) -> None:
        """List the commands in their groups."""
        lines = ["./inv COMMAND [--option] [COMMAND …]     ./inv --help COMMAND\n"]
        assert self.namespace is not None
        for group, names in GROUPS.items():
            lines.append(f"{group}:")
            lines += [f"  {name:<10} {_summary(self.namespace, name)}" for name in names]
        console.write(console.with_program_name("\n".join(lines)))
        raise Exit

    def _report_parse_error(self, parse: Any, *arguments: Any) -> None:
        """Call a parser of Invoke; if it fails, exit with status 2 and a hint."""
        try:
            parse(*arguments)
        except wrong_words.HelpWanted as error:
            self.print_task_help(error.command)
            raise Exit from error
        except ParseError as error:
            assert self.namespace is not None
            commands = self.namespace.to_contexts()
            reported = wrong_words.explain(error, self.initial_context, commands)
            raise Exit(code=report_error(reported)) from error


def _summary(collection: Collection, name: str) -> str:
    doc = collection[name].__doc__ or ""
    return str(doc.strip().splitlines()[0])


def make_program(collection: Collection, name: str = "./inv") -> Program:
    """Return the command line of a collection of commands.

    `name`: how the user calls it, `./inv` or `imageproof`.
    """
    console.set_program_name(name)
    return CommandLine(
        name="imageproof",
        binary=name,
        binary_names=[name],
        namespace=collection,
        version=__version__,
    )
