"""Where the compose file says that each service's image comes from, kept from one run to the next:
to ask Compose takes longer than all the rest of a build that finds nothing changed.

It is kept by content: of the compose files, of .env, and of every variable that one of them may
name. What is kept are tags, paths and digests: of what else a variable was filled in, nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.commands.passed import Passed, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imageproof.contract import Contract
    from imageproof.docker.client import Engine

STEP = "composed"  # by which it is kept
# Keys that bring in files which are not looked at here; anywhere in the text, to be sure.
_ELSEWHERE = re.compile(r"include|extends|env_file|label_file")
_STEERING = re.compile(r"COMPOSE_\w+|HOME")  # what Compose reads unnamed: ~ is the home folder
_ENV_FILES = "COMPOSE_ENV_FILES"  # instead of .env, wherever they are
# A build section with one of these reads more than its context and its Dockerfile.
_OPEN = frozenset({"additional_contexts", "dockerfile_inline", "no_cache", "pull"})


@dataclass(frozen=True)
class Source:
    """What makes a service's image."""

    image: str  # its tag; empty where the file names none
    context: str  # folder of its build; empty where nothing is built
    dockerfile: str  # path; empty with it
    closed: bool  # the build reads those two alone
    digest: str  # of the whole section, with its variables filled in


def sources(contract: Contract, engine: Engine) -> dict[str, Source]:
    """The source of each service's image. Raises ConfigurationError for what is no compose file."""
    passed, key = Passed(contract.root), _key(engine)
    if known := passed.find(STEP, key):
        with contextlib.suppress(AttributeError, KeyError, TypeError):  # damaged counts as none
            return {name: Source(**source) for name, source in known["services"].items()}
    services = engine.compose_model(interpolate=True).get("services") or {}
    found = {name: _source(service) for name, service in services.items()}
    passed.keep(STEP, key, services={name: asdict(source) for name, source in found.items()})
    return found


def _source(service: Mapping[str, Any]) -> Source:
    image, build = service.get("image") or "", service.get("build") or {}
    context = build.get("context") or ""
    return Source(
        image=image,
        context=context,
        dockerfile=str(Path(context, build.get("dockerfile") or "Dockerfile")) if build else "",
        closed=not build.keys() & _OPEN,
        digest=digest_of(build),
    )


def _key(engine: Engine) -> str | None:
    """A digest of all that the model depends on; None where that cannot be told."""
    if not engine.compose_files:
        return None
    try:
        texts = [path.read_text() for path in engine.compose_files]
        settings = engine.compose_files[0].with_name(".env")
        texts.append(settings.read_text() if settings.exists() else "")
    except (OSError, UnicodeDecodeError):
        return None  # Compose says in its own words what is wrong
    given = {**os.environ, **engine.variables}
    if any(map(_ELSEWHERE.search, texts)) or _ENV_FILES in given:
        return None
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    variables = {
        name: value for name, value in given.items() if name in words or _STEERING.fullmatch(name)
    }
    return digest_of(list(engine.compose_files), texts, variables, engine.project)
