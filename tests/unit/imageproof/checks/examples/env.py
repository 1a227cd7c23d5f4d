"""Faults and near misses of the env.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.project.settings_class import Variable
from tests.support.sample_facts import SECRET, variables, with_example, with_passed


def _entry(name: str, value: str = "x", *, secret: bool = False) -> Any:
    """Return equal places, except for one variable of the settings class."""
    good = variables().settings["shop"]
    return variables(settings={"shop": {**good, name: Variable(name, value, secret)}})


def _passed(name: str, value: str) -> dict[str, Variable]:
    return {name: Variable(name, value)}


FAULTS: dict[str, list[tuple[Any, str]]] = {
    "env.documented": [(with_example("API_PORT", "8000", documented=False), "API_PORT")],
    "env.parity": [
        (_entry("NEW"), "NEW is read by shop but not set in compose.yaml"),
        (_entry("NEW"), "NEW is in the code but not in .env.example"),
        (_entry("LOG_LEVEL", "debug"), "'debug' in the code, 'info' in .env.example"),
        (with_passed(LOG_LEVEL="debug"), "'info' in the code, 'debug' in compose.yaml"),
        (
            _entry("API_TOKEN", SECRET, secret=True),
            "the secret API_TOKEN has a default in the code",
        ),
        (with_passed(OTHER="1"), "OTHER is set for shop in compose.yaml but not read"),
        (with_passed(without="LOG_LEVEL"), "LOG_LEVEL is read by shop but not set"),
        (with_example("STALE", "1"), "STALE is in .env.example but nothing reads it"),
        (with_example("LOG_LEVEL", "debug"), "LOG_LEVEL"),
        (variables(example=None), "there is no .env.example"),
        (variables(compose={}), "not set in compose.yaml"),
    ],
    "env.secrets-blank": [
        (with_example("API_TOKEN", SECRET), "API_TOKEN"),
        (with_passed(API_TOKEN=SECRET), "API_TOKEN"),
        (variables(example=None, compose=with_passed(API_TOKEN=SECRET).compose), "API_TOKEN"),
        # no variable of a settings class: the name or the value decides
        (with_example("DB_PASSWORD", "hunter2"), "DB_PASSWORD"),
        (variables(compose={"store": _passed("POSTGRES_PASSWORD", "x")}), "in service store"),
        (with_example("LOG_LEVEL", "https://me:hunter2@host.invalid"), "LOG_LEVEL"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "env.documented": [variables(), variables(example=None), variables(example={})],
    "env.parity": [
        variables(),
        with_example("API_PORT", "9999"),  # only the compose file reads it
        with_passed(API_TOKEN=SECRET),  # env.secrets-blank reports it
        with_example("API_TOKEN", SECRET),  # the same
        variables(settings={}, example=None, compose={}),
    ],
    "env.secrets-blank": [
        variables(),
        with_example("LOG_LEVEL", "debug"),
        variables(example=None),
        variables(compose={}),
        with_example("DB_PASSWORD", ""),
        with_example("DB_PASSWORD_FILE", "/run/secrets/db"),
        variables(compose={"store": _passed("POSTGRES_PASSWORD", "${DB_PASSWORD:?is needed}")}),
        # not a secret in the settings class
        replace(_entry("TOKEN_KIND"), compose={"web": _passed("TOKEN_KIND", "bearer")}),
        with_passed(API_TOKEN="${API_TOKEN:?is needed}"),
    ],
}
