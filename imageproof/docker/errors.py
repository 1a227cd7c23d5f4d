"""Translation of the docker program's error output into this project's errors.

`str(DockerException)` contains the whole command line with its build arguments, so errors show the
program's output only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from imageproof.docker.known_errors import HINT_ENGINE, recognise
from imageproof.docker.registry_errors import names_registry, registry_error
from imageproof.errors import (
    BaseUnavailable,
    EngineUnavailable,
    ImageproofError,
    RegistryUnavailable,
    StackFailed,
)
from imageproof.terminal_text import clean_lines

# Actions that use a registry: other errors are read as a registry's only if their text names one.
_REGISTRY_FALLBACKS = (RegistryUnavailable, BaseUnavailable)
_ADVICE = re.compile(r"(?:Run|See) 'docker .*--help'")  # the last line of many errors


def translate(
    action: str, output: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> ImageproofError:
    """Return the error that the docker program's output describes.

    Args:
        action: what is being done, for error messages, such as "pulling shop:1".
        output: the program's output.
        fallback: error class for output that is not recognised. Its last line becomes the cause.
        hint: the fallback error's hint.
    """
    lines = [line for line in clean_lines(output) if not _ADVICE.match(line)]
    if known := recognise(output):
        return known.error(action, known.cause, tail=lines, hint=known.hint)
    about_registry = issubclass(fallback, _REGISTRY_FALLBACKS) or names_registry(output)
    if about_registry and (error := registry_error(action, output)):
        return error
    cause = lines[-1] if lines else "the engine gave no reason"
    return fallback(action, cause, tail=lines[:-1], hint=hint)


@contextlib.contextmanager
def translating(
    action: str, fallback: type[ImageproofError] = StackFailed, hint: str | None = None
) -> Iterator[None]:
    """Translate the exceptions of python-on-whales into an ImageproofError; see `translate`."""
    from python_on_whales import DockerException
    from python_on_whales.client_config import ClientNotFoundError

    try:
        yield
    except DockerException as error:
        output = (error.stderr or "") + (error.stdout or "")
        raise translate(action, output, fallback, hint) from error
    except ClientNotFoundError as error:
        raise client_missing(action) from error


def client_missing(action: str) -> EngineUnavailable:
    """Return the error for a docker program that is not installed."""
    return EngineUnavailable(action, "there is no docker client on PATH", hint=HINT_ENGINE)
