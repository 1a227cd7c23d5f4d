"""One run of `verify` and of its peers on every planted defect and near miss."""

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
from tests.peers.tools import TOOLS, Kit, Subject, Tool, run

OURS = "imageproof"
Complaints = dict[str, list[str] | None]  # by tool; None: the tool was not run on the case


def compare(kit: Kit, cache: Path) -> dict[str, Any]:
    """Return the results of all tools on all cases, in about fifteen minutes."""
    project = contract.load(ROOT)
    engine = Engine((project.compose_file,))
    base = base_image.resolve(project, engine)
    console.say("  building the corpus")
    tools = [tool for tool in TOOLS if tool.version(kit)]
    cases = corpus.collect()
    with corpus.built(cases, base.reference, base.digest) as projects:
        good = projects[0]
        reader = Reader(cache)
        reader.record_sizes(good, projects[1:])
        console.say("  running each tool on each case")
        with ThreadPoolExecutor(4) as pool:
            ours = list(pool.map(lambda case: _ours(reader, case), projects))
            theirs = list(pool.map(lambda case: _peers(kit, tools, case), projects))
        console.say("  measuring each tool")
        durations = speed(kit, tools, good)
    return {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "machine": machine(engine),
        "tools": [
            {
                "name": tool.name,
                "version": tool.version(kit),
                "looks": tool.input,
                "by_hand": tool.by_hand,
                "seconds": durations["each"].get(tool.name),
            }
            for tool in TOOLS
        ],
        "speed": {name: value for name, value in durations.items() if name != "each"},
        "cases": [
            {
                "case": case.name,
                "check": case.check,
                "planted": bool(case.planted),
                "complaints": _completed({OURS: own, **peers}, theirs[0]),
            }
            for case, own, peers in zip(cases, ours, theirs, strict=True)
        ],
    }


def _completed(complaints: Complaints, good: Complaints) -> Complaints:
    """Add the good project's complaints of each tool whose input does not differ from it."""
    names = (OURS, *(tool.name for tool in TOOLS))
    return {name: complaints.get(name, good.get(name)) for name in names}


def _ours(reader: Reader, project: Project) -> list[str]:
    results = reader.read(project).judge(REGISTRY.values())
    return sorted({r.check.id for r in results if r.status not in ("pass", "not run")})


def _peers(kit: Kit, tools: Sequence[Tool], project: Project) -> Complaints:
    try:
        with _volumes_removed():
            return _complaints(kit, tools, project)
    except Exception as error:
        error.add_note(f"in the case {project.case.name}")
        raise


@contextlib.contextmanager
def _volumes_removed() -> Iterator[None]:
    """Remove the anonymous volumes that container-structure-test leaves behind."""
    before = _anonymous_volumes()
    try:
        yield
    finally:
        if added := _anonymous_volumes() - before:
            run("docker", "volume", "rm", *added)


def _anonymous_volumes() -> set[str]:
    filters = ("--filter=dangling=true", "--filter=label=com.docker.volume.anonymous")
    return set(run("docker", "volume", "ls", "--quiet", *filters).split())


def _complaints(kit: Kit, tools: Sequence[Tool], project: Project) -> Complaints:
    complaints: Complaints = {}
    for tool in tools:
        if tool.input != "stack" and _differs(project.case, tool.input):
            complaints[tool.name] = sorted(tool.complaints(Subject(kit, project)))
    stack_tools = [tool for tool in tools if tool.input == "stack"]
    if _differs(project.case, "stack"):
        complaints |= dict(_on_stack(kit, stack_tools, project))
    return complaints


def _on_stack(
    kit: Kit, tools: Sequence[Tool], project: Project
) -> Iterator[tuple[str, list[str] | None]]:
    if not _is_safe(project):
        yield from ((tool.name, None) for tool in tools)
        return
    with started(project) as engine:
        container = engine.containers(["web"])[0]["Name"].lstrip("/")
        for tool in tools:
            yield tool.name, sorted(tool.complaints(Subject(kit, project, container)))


def _differs(case: Case, input_: str) -> bool:
    """Return whether a tool's input in this case differs from the good project."""
    files = {
        "image": {"Dockerfile", "locks", "pyproject.toml"},
        "Dockerfile": {"Dockerfile"},
        "compose": {"compose.yaml", corpus.OVERRIDE},
        "stack": {"Dockerfile", "compose.yaml", corpus.OVERRIDE},
    }[input_]
    return not case.check or any((case.folder / name).exists() for name in files)


def _is_safe(project: Project) -> bool:
    """Return whether the case may run: it does not expose this host and needs no pulled image."""
    services = json.loads((project.root / "compose.yaml").read_text())["services"].values()
    return not any(
        keys.get("privileged")
        or "host" in (keys.get("pid"), keys.get("ipc"), keys.get("network_mode"))
        or "docker.sock" in json.dumps(keys.get("volumes") or [])
        or not keys["image"].startswith(corpus.TAG)
        for keys in services
    )
