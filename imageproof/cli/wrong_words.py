"""A wrong command line: Invoke's message in this program's words, and the nearest right word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from invoke.exceptions import ParseError
from invoke.parser.context import ParserContext

from imageproof.cli.core_options import find_refused
from imageproof.errors import UsageError
from imageproof.suggestion import did_you_mean

ACTION = "reading the command line"
LIST_HINT = "`./inv` lists the commands, `./inv --help COMMAND` its options"


class WrongValue(ParseError):
    """An option's value is wrong. As a ParseError it is raised before the first command runs."""

    def __init__(self, error: UsageError) -> None:
        super().__init__(error.cause)
        self.error = error


class HelpWanted(ParseError):
    """`-h` stands where Invoke's parser takes the next word as a command's argument."""

    def __init__(self, command: str) -> None:
        super().__init__(f"help of {command}")
        self.command = command


def explain(
    error: ParseError, core: ParserContext, commands: Sequence[ParserContext]
) -> UsageError:
    """Return the error to report for an error of Invoke's parser.

    Args:
        error: the parser's error.
        core: the options before any command.
        commands: the commands with their options.
    """
    if isinstance(error, WrongValue):
        return error.error
    text, command = str(error), error.context
    if match := re.fullmatch(r"No idea what '(.*)' is!", text, re.DOTALL):
        return _explain_unknown(match[1], command, core, commands)
    if match := re.match(r"Flag <\w+: (\S+?)[ >].*needed value", text):
        return _wrong(f"--{match[1].replace('_', '-')} needs a value")
    if command and "required positional arguments" in text:
        names = " ".join(argument.names[0].upper() for argument in command.missing_positional_args)
        return _wrong(f"`{command.name}` needs {names}", _help_hint(command))
    return _wrong(text)


def _explain_unknown(
    word: str, command: ParserContext | None, core: ParserContext, commands: Sequence[ParserContext]
) -> UsageError:
    """Return the error for a word that is neither a command nor an option."""
    if refused := find_refused(word):
        option, instead = refused
        return _wrong(f"{option} is an option of Invoke that the commands here do not use", instead)
    names = [str(context.name) for context in commands]
    if not word.startswith("-"):
        hint = _help_hint(command) if command and command.name else LIST_HINT
        return _wrong(f"there is no command {word!r}", did_you_mean(word, names) + hint)
    options = [*_long_options(core)]
    if command is None or not command.name:
        return _wrong(f"there is no option {word!r}", did_you_mean(word, options) + LIST_HINT)
    own = [*_long_options(command)]
    cause = f"`{command.name}` has no option {word!r}"
    listing = f"its options: {', '.join(own)}" if own else "it has no options"
    return _wrong(cause, did_you_mean(word, [*own, *options]) + listing)


def _long_options(context: ParserContext) -> Iterable[str]:
    return (name for name in context.flag_names() if name.startswith("--"))


def _help_hint(command: ParserContext) -> str:
    return f"`./inv --help {command.name}` shows how it is used"


def _wrong(cause: str, hint: str = LIST_HINT) -> UsageError:
    return UsageError(ACTION, cause, hint=hint)
