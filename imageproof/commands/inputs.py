"""What a step reads, as one digest: where that is the same, the step came to its end before.

By content, never by time stamps. Where it cannot be told what a step reads, the answer is None,
and the step runs: a step too many costs a second, one too few is a lie.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageproof.build.git import git
from imageproof.commands.passed import digest_of

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.docker.composed import Source

TOOLKIT = Path(__file__).parent
IGNORE = ".dockerignore"
STATE = ".ops"  # what this toolkit itself writes: no reason to build
# Instructions that bring in what is neither in the context nor in an earlier stage.
_SOURCE = re.compile(
    r"^\s*FROM\s+(?:--\S+\s+)*(\S+)|\bfrom=([^\s,]+)", re.IGNORECASE | re.MULTILINE
)
_STAGE = re.compile(r"^\s*FROM\s.*\sAS\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_REMOTE = re.compile(r"^\s*ADD\s.*(?:://|git@)", re.IGNORECASE | re.MULTILINE)
_WILD = re.compile(r"[*?\[\\]")


def project(contract: Contract, engine: Engine) -> str | None:
    """Every file that git sees, .env, the stack as Compose reads it, and this toolkit with what is
    installed beside it; None outside git."""
    listed = git(contract.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        return None
    seen = {name for name in listed.split("\0") if name and not name.startswith(f"{STATE}/")}
    names = sorted({*seen, ".env"})
    files = list(_contents(contract.root, names))
    return digest_of(files, engine.compose_model(interpolate=True), _toolkit())


def images(
    contract: Contract, sources: Mapping[str, Source], settings: Mapping[str, str]
) -> str | None:
    """Everything that the build of those services stands on: its settings, its Dockerfiles, and
    what of its contexts `.dockerignore` does not surely leave out.

    None where a registry or an address may give something else tomorrow: an image that is named
    without digest, `ADD` of an address, a context elsewhere.
    """
    trees: dict[str, Any] = {}
    for source in sources.values():
        context, dockerfile = Path(source.context), Path(source.dockerfile)
        if not source.closed or not dockerfile.is_file():
            return None
        if dockerfile.with_name(f"{dockerfile.name}{IGNORE}").exists():
            return None
        text = dockerfile.read_text(errors="replace")
        if not _is_closed(text, contract.base.variable):
            return None
        trees[str(dockerfile)] = text
        if str(context) not in trees:
            trees[str(context)] = list(_contents(context, sorted(_tree(context))))
    sections = {name: source.digest for name, source in sources.items()}
    return digest_of(sections, trees, dict(settings))


def _is_closed(dockerfile: str, base: str) -> bool:
    """Whether it names nothing that may change while its text stays."""
    known = {"scratch", f"${base}", f"${{{base}}}", *_STAGE.findall(dockerfile)}
    named = {first or second for first, second in _SOURCE.findall(dockerfile)}
    return not _REMOTE.search(dockerfile) and all(
        name in known or "@sha256:" in name or name.isdigit() for name in named
    )


def _tree(context: Path) -> Iterator[str]:
    """Every file of a context by its name below it, but for what is surely left out."""
    left_out = _left_out(context)
    folders = [""]
    while folders:
        below = folders.pop()
        with os.scandir(context / below) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}".lstrip("/")
                if left_out(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                yield path


def _left_out(context: Path) -> Callable[[str], bool]:
    """What `.dockerignore` surely leaves out. Only its plainest patterns are understood (`*`,
    `name`, `**/name`); what another may leave out counts as there, which costs no more than time.
    """
    try:
        lines = (context / IGNORE).read_text().splitlines()
    except FileNotFoundError:
        lines = []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    back = [pattern[1:].strip("/") for pattern in patterns if pattern.startswith("!")]
    last = max((i for i, p in enumerate(patterns) if p.startswith("!")), default=-1)
    final = [pattern.strip("/") for pattern in patterns[last + 1 :]]
    anywhere = {p[3:] for p in final if p.startswith("**/") and not _WILD.search(p[3:])}
    endings = tuple(p[4:] for p in final if p.startswith("**/*.") and not _WILD.search(p[4:]))
    tops = {STATE, *(pattern for pattern in final if not _WILD.search(pattern))}
    only: set[str] | None = None
    if "*" in patterns[: last + 1] and not any(_WILD.search(p.split("/")[0]) for p in back):
        only = {pattern.split("/")[0] for pattern in back}

    def left_out(path: str) -> bool:
        top, _, _ = path.partition("/")
        name = path.rpartition("/")[2]
        outside = only is not None and top not in only
        return outside or path in tops or name in anywhere or name.endswith(endings)

    return left_out


def _contents(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file with its kind, mode and content; what is not there, or is no file, as well."""
    for name in names:
        path = root / name
        try:
            if path.is_symlink():
                yield name, f"link {path.readlink()}"
                continue
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            yield name, f"{path.stat().st_mode:o} {content}"
        except OSError as error:
            yield name, f"unread {error.errno}"


def _toolkit() -> list[Any]:
    """The code that judges, and when something was last installed beside it."""
    sources = sorted(str(path.relative_to(TOOLKIT)) for path in TOOLKIT.rglob("*.py"))
    installed = Path(json.__file__).parent, *map(Path, _site_packages())
    return [list(_contents(TOOLKIT, sources)), [path.stat().st_mtime_ns for path in installed]]


def _site_packages() -> list[str]:
    import sysconfig

    paths = sysconfig.get_paths()
    return sorted({paths["purelib"], paths["platlib"]})
