"""Faults and near misses of the secret.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imageproof.deep.double_build import BuildFacts, Difference, Leak
from imageproof.deep.stack_trial import TrialFacts
from imageproof.image.facts import SecretCandidate
from tests.support.sample_facts import (
    SECRET,
    SECRET_BY_SHAPE,
    SITE_PACKAGES,
    file,
    image,
    layer,
    package,
    with_files,
    with_label,
    with_packages,
)


def _env(name: str, value: str) -> Any:
    return image(environment={"PATH": "/usr/bin", name: value})


def _line(text: str) -> Any:
    return image(history=("COPY a /", text))


ENV_FILE = (SecretCandidate("app/.env", "environment file"),)
SECOND = {"name": "b"}


def _packed(kind: str, **record: Any) -> Any:
    """Return an image with a private key that a package owns."""
    path = f"{SITE_PACKAGES}/tornado/test.key"
    facts = with_packages(package(kind, "tornado", owns=(path,)), files=(file(path),), **record)
    (only,) = facts.layers
    return replace(
        facts, layers=(replace(only, secret_candidates=(SecretCandidate(path, "private key"),)),)
    )


TRIAL_UNKNOWN = TrialFacts(unknown="the copy did not start")
SEARCHED = ("layers", "configuration")
BUILD_UNKNOWN = BuildFacts(unknown="the second build failed")


def _built(**changes: Any) -> BuildFacts:
    return BuildFacts(layers=4, secrets=("pip",), searched=SEARCHED, **changes)


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "secret.canary": [
        (
            _built(leaks=(Leak("pip", "layer", "plain", "root/x", "RUN x"),)),
            "secret pip is in the layer",
        ),
        (_built(leaks=(Leak("pip", "configuration", "base64"),)), "configuration (as base64)"),
        (BuildFacts(layers=4), "nothing was searched"),
        (BUILD_UNKNOWN, "second build failed"),
    ],
    "secret.env": [
        (_env("API_TOKEN", SECRET), "API_TOKEN"),
        (_env("DB_PASSWORD", SECRET), "DB_PASSWORD"),
        (_env("PLAIN", SECRET_BY_SHAPE), "PLAIN"),
        (_env("INDEX", f"https://me:{SECRET}@shop.invalid/"), "INDEX"),
    ],
    "secret.file": [
        (
            image(layers=(layer(unsearched="the search took 9 s"),)),
            "files of a layer were not searched: the search took 9 s",
        ),
        (
            with_files(file("app/.env"), secret_candidates=ENV_FILE),
            "/app/.env looks like a secret: environ",
        ),
        (
            image(
                layers=(
                    layer(file("app/.env"), secret_candidates=ENV_FILE),
                    layer(file("app/.wh..env"), **SECOND),
                )
            ),
            "though COPY b / hides it",
        ),
        (
            image(
                layers=(
                    layer(file("app/.env"), secret_candidates=ENV_FILE),
                    layer(file("app/.env"), **SECOND),
                )
            ),
            "though COPY b / hides it",
        ),
        (
            _packed("python", python={"other": ("1.0",)}),
            "test.key",
        ),  # the project itself, as a package
        (_packed("npm", npm={"other": ("1.0",)}), "test.key"),
    ],
    "secret.history": [
        (_line(f"ARG API_TOKEN={SECRET}"), "ARG"),
        (_line(f"RUN |1 API_TOKEN={SECRET} /bin/sh -c make"), "(API_TOKEN)"),
        (_line(f"RUN curl -H 'x: {SECRET_BY_SHAPE}' there"), "RUN"),
        (replace(_env("API_TOKEN", ""), history=(f"ENV API_TOKEN={SECRET}",)), "(API_TOKEN)"),
        (_line(f"LABEL token={SECRET}"), "LABEL"),  # a later LABEL replaced it
        (image(labels={"api.token": SECRET}, history=(f"ARG A={SECRET_BY_SHAPE}",)), "ARG"),
        (_line(f"RUN DB_PASSWORD='{SECRET}' make"), "(DB_PASSWORD)"),
        (_line(f"RUN pip install --index-url https://me:{SECRET}@shop.invalid/"), "RUN"),
    ],
    "secret.label": [
        (with_label("com.invalid.api-token", SECRET), "com.invalid.api-token"),
        (with_label("shop/password", SECRET), "shop/password"),
        (with_label("plain", SECRET_BY_SHAPE), "plain"),
    ],
    "secret.log": [
        (TrialFacts(logged=("API_TOKEN",), secrets=("API_TOKEN",)), "API_TOKEN"),
        (TRIAL_UNKNOWN, "did not start"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "secret.canary": [
        _built(),
        _built(differences=(Difference("RUN date", ("etc/built",)),)),
        BuildFacts(layers=1, searched=SEARCHED),
    ],
    "secret.env": [
        _env("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        _env("PATH", "/usr/bin"),
        _env("TOKEN_URL", "https://shop.invalid/token"),
        _env("API_TOKEN", ""),
        _env("API_TOKEN", "$TOKEN"),
        _env("API_TOKEN_FILE", "/run/secrets/token"),
    ],
    "secret.file": [
        with_files(file("app/.env.example")),
        _packed("python", python={"tornado": ("6.4",)}),
        _packed("python"),
        *(replace(_packed(kind), project_files=None) for kind in ("python", "npm")),
        _packed("dpkg", python={}, npm={}),
        _packed("npm", python={}),
        _packed("npm", npm={"tornado": ("1.0",)}),
    ],
    "secret.history": [
        _line("ARG API_TOKEN"),
        _line("ARG API_TOKEN="),
        _line('ARG API_TOKEN=""'),
        _line("RUN |1 API_TOKEN= /bin/sh -c make"),
        _line("RUN API_TOKEN=$(cat /run/secrets/token) make"),
        _line('RUN export API_TOKEN="$TOKEN"'),
        _line("RUN --mount=type=secret,id=token make"),
        _line("ARG GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D"),
        _line("RUN make token"),
        image(labels={"api.token": SECRET}, history=(f"LABEL api.token={SECRET_BY_SHAPE}",)),
        image(environment={"PLAIN": SECRET_BY_SHAPE}, history=(f"ENV PLAIN={SECRET_BY_SHAPE}",)),
    ],
    "secret.label": [
        with_label("com.invalid.api-token", ""),
        with_label("org.opencontainers.image.authors", "the shop team"),
        with_label("com.invalid.token-url", "https://shop.invalid/"),
    ],
    "secret.log": [TrialFacts(secrets=("API_TOKEN",)), TrialFacts()],
}
