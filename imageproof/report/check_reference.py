"""The reference of all checks, as Markdown: what docs/checks.md holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.checks import REGISTRY, find
from imageproof.report import contract_reference, summary

if TYPE_CHECKING:
    from imageproof.checks import Check
    from imageproof.checks.check import Needs

FILE = "docs/checks.md"
EVERY = "all"
COMMAND = f"./inv explain {EVERY} > {FILE}"

NEEDS: Mapping[Needs, str] = {
    "image": "an image: its configuration, its history, every file of every layer",
    "programs": "an image's programs, run in it without network; not with `--static`",
    "containers": "the containers of a service, where the stack runs; not with `--static`",
    "trial": "a copy of the stack, started and ended; only with `--deep`",
    "build": "two builds without cache; only with `--deep`",
    "images": "all images of the contract beside one another",
    "variables": "the settings classes, `.env.example` and the compose file; `./inv lint` too",
    "compose": "the compose file as it is without `.env`; `./inv lint` too",
    "stack": "the compose file beside the one for a swarm, where the contract names one; "
    "`./inv lint` too",
    "teardown": "what is left after a copy of the stack ended; only with `--deep`",
}
_HEAD = f"""# Checks

Made from the checks themselves by `{COMMAND}`.

`./inv explain ID` shows one. `--only` takes an id, or the group before the dot. A check falls short
as an error, or as a warning, which fails nothing; one that could not look says `unknown`, and that
is no pass. A waiver with its reason stands in the contract: `[tool.imageproof.images.NAME.waivers]`, or
`[tool.imageproof.waivers]` for what looks at no single image.
"""
# Code and addresses stay as they are; of the rest, what Markdown would take for its own.
_LITERAL = re.compile(r"(`[^`]*`|https?://[^\s;]+)")
_MEANS = re.compile(r"([\\*_\[\]|<>#])")


def show(id_: str) -> None:
    """Everything about one check, or this page. Raises UsageError where there is no such check."""
    if id_ == EVERY:
        console.write(markdown())
    elif id_ == contract_reference.TOPIC:
        console.write(contract_reference.markdown())
    else:
        summary.print_check(find(id_))


def markdown(checks: Mapping[str, Check] = REGISTRY) -> str:
    """Every check, in groups by what stands before the dot; in the order of the alphabet."""
    groups: dict[str, list[Check]] = {}
    for id_, check in sorted(checks.items()):
        groups.setdefault(id_.partition(".")[0], []).append(check)
    lines = [_HEAD, "A check looks at one of these:", ""]
    lines += [f"- **{looks}**: {text}" for looks, text in NEEDS.items()]
    for group, members in groups.items():
        lines += ["", f"## {group}", "", "| Check | What must hold | Looks at |", "|---|---|---|"]
        lines += [
            f"| [{check.id}](#{_anchor(check.id)}) | {_text(check.title)} | {check.needs} |"
            for check in members
        ]
        for check in members:
            lines += _section(check)
    return "\n".join(lines) + "\n"


def _section(check: Check) -> Iterator[str]:
    yield from ("", f"### {check.id}", "", f"**{_text(check.title)}.**", "")
    yield f"- Why: {_text(check.why)}"
    yield f"- Mend: {_text(check.remedy)}"
    yield f"- See: {_text(check.reference)}"
    yield f"- Looks at: {check.needs}; falls short as: {check.severity}"


def _anchor(id_: str) -> str:
    """The name that GitHub gives to a heading."""
    return re.sub(r"[^\w-]", "", id_.lower())


def _text(text: str) -> str:
    """Text that shows as it is written; addresses become links."""
    parts = _LITERAL.split(text)
    parts[::2] = [_MEANS.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [part if part.startswith("`") else f"<{part}>" for part in parts[1::2]]
    return "".join(parts)
