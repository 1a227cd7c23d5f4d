"""Give the corpus to this project's verify and to its peers, in one run: who catches what."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imageproof import console, contract
from imageproof.build import base_image
from imageproof.checks import REGISTRY
from imageproof.docker.client import Engine
from tests.bench.machine import machine
from tests.defects import corpus
from tests.defects.corpus import ROOT, Case, Project
from tests.defects.reading import Reader, started
from tests.peers.speed import speed
from tests.peers.tools import TOOLS, Asked, Kit, Tool, run

OURS = "ops"
Answers = dict[str, list[str] | None]  # by tool: what it complains of; None: it was not asked


def compare(kit: Kit, cache: Path) -> dict[str, Any]:
    """Everything that the table is made of. Takes a quarter of an hour."""
    terms = contract.load(ROOT)
    engine = Engine((terms.compose_file,))
    origin = base_image.resolve(terms, engine)
    console.say("  the corpus is built")
    tools = [tool for tool in TOOLS if tool.version(kit)]
    cases = corpus.collect()
    with corpus.built(cases, origin.reference, origin.digest) as projects:
        good = projects[0]
        reader = Reader(cache)
        reader.record_sizes(good, projects[1:])
        console.say("  each tool is asked about each case")
        with ThreadPoolExecutor(4) as pool:
            own = list(pool.map(lambda project: _own(reader, project), projects))
            answers = list(pool.map(lambda project: _peers(kit, tools, project), projects))
        console.say("  each tool is timed")
        taken = speed(kit, tools, good)
    return {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "machine": machine(engine),
        "tools": [
            {
                "name": tool.name,
                "version": tool.version(kit),
                "looks": tool.looks,
                "by_hand": tool.by_hand,
                "seconds": taken["each"].get(tool.name),
            }
            for tool in TOOLS
        ],
        "speed": {name: value for name, value in taken.items() if name != "each"},
        "cases": [
            {
                "case": case.name,
                "check": case.check,
                "planted": bool(case.planted),
                "complaints": _filled({OURS: mine, **theirs}, answers[0]),
            }
            for case, mine, theirs in zip(cases, own, answers, strict=True)
        ],
    }


def _filled(found: Answers, good: Answers) -> Answers:
    """A tool that was given the good project's own files again says the same again."""
    return {name: found.get(name, good.get(name)) for name in (OURS, *(t.name for t in TOOLS))}


def _own(reader: Reader, project: Project) -> list[str]:
    results = reader.read(project).judge(REGISTRY.values())
    return sorted({r.check.id for r in results if r.status not in ("pass", "not run")})


def _peers(kit: Kit, tools: Sequence[Tool], project: Project) -> Answers:
    try:
        with _volumes_removed():
            return _asked(kit, tools, project)
    except Exception as error:
        error.add_note(f"asked about {project.case.name}")
        raise


@contextlib.contextmanager
def _volumes_removed() -> Iterator[None]:
    """container-structure-test leaves behind what its containers had for a declared volume."""
    before = _anonymous()
    try:
        yield
    finally:
        if left := _anonymous() - before:
            run("docker", "volume", "rm", *left)


def _anonymous() -> set[str]:
    filters = ("--filter=dangling=true", "--filter=label=com.docker.volume.anonymous")
    return set(run("docker", "volume", "ls", "--quiet", *filters).split())


def _asked(kit: Kit, tools: Sequence[Tool], project: Project) -> Answers:
    found: Answers = {}
    for tool in tools:
        if tool.looks != "stack" and _differs(project.case, tool.looks):
            found[tool.name] = sorted(tool.ask(Asked(kit, project)))
    stacks = [tool for tool in tools if tool.looks == "stack"]
    if _differs(project.case, "stack"):
        found |= dict(_beside(kit, stacks, project))
    return found


def _beside(kit: Kit, tools: Sequence[Tool], project: Project) -> Iterator[tuple[str, Any]]:
    if not _is_safe(project):
        yield from ((tool.name, None) for tool in tools)
        return
    with started(project) as engine:
        container = engine.containers(["web"])[0]["Name"].lstrip("/")
        for tool in tools:
            yield tool.name, sorted(tool.ask(Asked(kit, project, container)))


def _differs(case: Case, looks: str) -> bool:
    """Whether a case has anything of its own of that kind."""
    files = {
        "image": {"Dockerfile", "locks", "pyproject.toml"},
        "Dockerfile": {"Dockerfile"},
        "compose": {"compose.yaml", corpus.OVERRIDE},
        "stack": {"Dockerfile", "compose.yaml", corpus.OVERRIDE},
    }[looks]
    return not case.check or any((case.folder / name).exists() for name in files)


def _is_safe(project: Project) -> bool:
    """What would open the machine, or cannot be pulled, is judged by its file alone."""
    services = json.loads((project.root / "compose.yaml").read_text())["services"].values()
    return not any(
        keys.get("privileged")
        or "host" in (keys.get("pid"), keys.get("ipc"), keys.get("network_mode"))
        or "docker.sock" in json.dumps(keys.get("volumes") or [])
        or not keys["image"].startswith(corpus.TAG)
        for keys in services
    )
