"""Secrets where everybody who has the image can read them. Their values are never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ops.checks.check import Finding, check

if TYPE_CHECKING:
    from ops.contract import Image
    from ops.facts.image import ImageFacts

CIS = "CIS Docker Benchmark 4.10; https://docs.docker.com/build/building/secrets/"
MEND = (
    "Give it to the build as a secret (`RUN --mount=type=secret`), or to the container at run "
    "time; then change the secret, since whoever pulled the image has it."
)

# A name that says "secret"; PATH-like and public things with such words in them are not meant.
_NAME = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|AUTH"
    r"|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION)_?KEY)(?:$|_(?!FILE$|PATH$|URL$))",
    re.IGNORECASE,
)
# Shapes that only secrets have.
_SHAPE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}"  # GitHub token
    r"|\bgithub_pat_[A-Za-z0-9_]{30,}"
    r"|\bglpat-[A-Za-z0-9_-]{20,}"  # GitLab token
    r"|\bnpm_[A-Za-z0-9]{30,}"  # npm token
    r"|\bpypi-[A-Za-z0-9_-]{40,}"  # PyPI token
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"  # Slack token
    r"|\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}"  # LLM provider keys
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"  # JSON web token
    r"|\bAIza[0-9A-Za-z_-]{35}\b"  # Google API key
    r"|://[^/\s:@$]+:[^/\s@$]+@"  # password in a URL
)
# name=value or name="value" in a line of history
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][\w]*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;]+)")


def _is_secret(name: str, value: str) -> bool:
    plain = value.strip("\"' ")
    if not plain or plain.startswith("$"):
        return False
    return bool(_NAME.search(name) or _SHAPE.search(value))


@check(
    "secret.env",
    "image",
    title="No secret is in the image's environment",
    why="`docker inspect` shows an image's environment to everybody who can pull it.",
    mend=MEND,
    reference=CIS,
)
def env(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a variable that is named or shaped like a secret, and is not empty."""
    for name, value in facts.environment.items():
        if _is_secret(name, value):
            yield Finding(f"ENV {name} holds what looks like a secret")


@check(
    "secret.label",
    "image",
    title="No secret is in the image's labels",
    why="Labels travel with the image, to registries and scanners as well.",
    mend=MEND,
    reference=CIS,
)
def label(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for a label that is named or shaped like a secret, and is not empty."""
    for name, value in facts.labels.items():
        if _is_secret(re.sub(r"[.\-/]", "_", name), value):
            yield Finding(f"LABEL {name} holds what looks like a secret")


@check(
    "secret.history",
    "image",
    title="No secret is in the image's history",
    why="Build arguments and RUN lines are kept in the image: `docker history` shows them.",
    mend=MEND,
    reference=CIS,
)
def history(_: Image, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for an instruction that assigns or contains what looks like a secret."""
    for line in facts.history:
        if line.startswith(("ENV ", "LABEL ")):
            continue  # secret.env and secret.label say so already
        names = [m["name"] for m in _ASSIGNMENT.finditer(line) if _is_secret(m["name"], m["value"])]
        if names or _SHAPE.search(line):
            what = f" ({', '.join(dict.fromkeys(names))})" if names else ""
            yield Finding(f"{line.partition(' ')[0]} holds what looks like a secret{what}")
