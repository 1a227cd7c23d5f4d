"""Faults and near misses of environment variables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.project.env_vars import Variable
from tests.support.sample_facts import SECRET, example, passed, variables


def _entry(name: str, value: str = "x", *, secret: bool = False) -> Any:
    """The places that agree, but for a variable of the settings class."""
    good = variables().settings["shop"]
    return variables(settings={"shop": {**good, name: Variable(name, value, secret)}})


def _passed(name: str, value: str) -> dict[str, Variable]:
    return {name: Variable(name, value)}


FAULTS: dict[str, list[tuple[Any, str]]] = {
    "env.documented": [(example("API_PORT", "8000", documented=False), "API_PORT")],
    "env.parity": [
        (_entry("NEW"), "compose.yaml does not pass it on"),
        (_entry("NEW"), ".env.example does not name it"),
        (_entry("LOG_LEVEL", "debug"), "'debug' in the code, 'info' in .env.example"),
        (passed(LOG_LEVEL="debug"), "'info' in the code, 'debug' in compose.yaml"),
        (_entry("API_TOKEN", SECRET, secret=True), "the code has a default"),
        (passed(OTHER="1"), "OTHER: compose.yaml passes it"),
        (passed(without="LOG_LEVEL"), "LOG_LEVEL: shop reads it"),
        (example("STALE", "1"), "STALE: .env.example names it, nothing reads it"),
        (example("LOG_LEVEL", "debug"), "LOG_LEVEL"),
        (variables(example=None), "there is no .env.example"),
        (variables(compose={}), "does not pass it on"),
    ],
    "env.secrets-blank": [
        (example("API_TOKEN", SECRET), "API_TOKEN"),
        (passed(API_TOKEN=SECRET), "API_TOKEN"),
        (variables(example=None, compose=passed(API_TOKEN=SECRET).compose), "API_TOKEN"),
        # none of these is a settings class's own: name or shape tells
        (example("DB_PASSWORD", "hunter2"), "DB_PASSWORD"),
        (variables(compose={"store": _passed("POSTGRES_PASSWORD", "x")}), "in service store"),
        (example("LOG_LEVEL", "https://me:hunter2@host.invalid"), "LOG_LEVEL"),
    ],
}

FINE: dict[str, list[Any]] = {
    "env.documented": [variables(), variables(example=None), variables(example={})],
    "env.parity": [
        variables(),
        example("API_PORT", "9999"),  # the compose file's own: no class reads it
        passed(API_TOKEN=SECRET),  # env.secrets-blank tells it
        example("API_TOKEN", SECRET),  # the same
        variables(settings={}, example=None, compose={}),
    ],
    "env.secrets-blank": [
        variables(),
        example("LOG_LEVEL", "debug"),
        variables(example=None),
        variables(compose={}),
        example("DB_PASSWORD", ""),
        example("DB_PASSWORD_FILE", "/run/secrets/db"),
        variables(compose={"store": _passed("POSTGRES_PASSWORD", "${DB_PASSWORD:?is needed}")}),
        # the class says that it is no secret
        replace(_entry("TOKEN_KIND"), compose={"web": _passed("TOKEN_KIND", "bearer")}),
        passed(API_TOKEN="${API_TOKEN:?is needed}"),
    ],
}
