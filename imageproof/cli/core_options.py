"""Options before any command: those of Invoke that have a meaning here, and hints for the others.

Invoke's other options change its functions that run shell commands. The commands here do not use
these functions, so such an option would have no effect; it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.program import Program

# The accepted options, with another help text where Invoke's is wrong here.
HELP = {
    "complete": None,
    "debug": "Show the traceback of a command that fails.",
    "help": None,
    "list": "List the commands by group.",
    "print-completion-script": None,
    "version": None,
}
# What to use instead of a refused option.
INSTEAD = {
    "dry": "`--dry-run` after up, down, clean, push, promote or deploy shows what would change",
    "echo": "each step is printed as it begins; `--debug` shows the traceback of a failure",
    "hide": "results are on standard output; `2>/dev/null` hides the progress",
    "warn-only": "`|| true` after the command ignores its exit status",
    "command-timeout": "`timeout 600 ./inv COMMAND` ends a command after ten minutes",
    "prompt-for-sudo-password": "`sudo ./inv COMMAND` runs a command as root",
    "config": "settings are in [tool.imageproof] of pyproject.toml, and in .env",
    "collection": "IMAGEPROOF_ROOT names the folder of another project",
    "search-root": "IMAGEPROOF_ROOT names the folder of another project",
    "list-depth": "`./inv --list` lists all commands",
    "list-format": "`./inv --list` lists all commands",
    "write-pyc": "leave it out: PYTHONDONTWRITEBYTECODE=1 is the opposite",
    "no-dedupe": "run the command twice, one after the other",
}
LEAVE_OUT = "leave it out: it has no effect here"


def make_context(arguments: Iterable[Argument]) -> ParserContext:
    """Return the context of Invoke's core options, with flags for the accepted ones only."""
    context = ParserContext()
    for argument in arguments:
        name = argument.names[0]
        if name == "list":  # there are no collections to choose from
            argument.kind, argument.optional, argument.default = bool, False, False
        if name in HELP:
            argument.help = HELP[name] or argument.help
            context.add_arg(argument)
        else:  # Invoke's program reads its default
            context.args[name] = argument
    return context


def find_refused(word: str) -> tuple[str, str] | None:
    """Return a refused option's long name and what to use instead; None for other words."""
    invoke = Program()
    for argument in (*invoke.core_args(), *invoke.task_args()):
        name = argument.names[0]
        flags = [f"--{name}", *(f"-{short}" for short in argument.names[1:])]
        if name not in HELP and word in flags:
            return f"--{name}", INSTEAD.get(name, LEAVE_OUT)
    return None
