"""Reviews a second with one, two and four workers, beside `npm diff`; and the API under load."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

from imageproof import contract
from imageproof.build import bake
from imageproof.docker.client import Engine
from imageproof.docker.environment import temporary_environment
from imageproof.errors import MachineError
from tests.bench.images import resident
from tests.bench.row import Row, in_turns
from tests.support import review_stack as gates
from tests.support import verdaccio as registries
from tests.support.commands import ROOT, docker
from tests.support.review_stack import TOKEN, Gate
from tests.support.verdaccio import Registry

JOBS, FULL = 40, 300
PAIRS = 10
REPEATS = 3
LOAD_SECONDS, CONNECTIONS = 10, 4
NPM = "`npm diff`, once a pair"
BOUND_MS = 50.0
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_IN_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
# Enough for a diff to have something to do: some files, some of them changed.
OLD = {f"lib/{n}.js": f"exports.n = {n};\n" * 200 for n in range(20)}
NEW = {**OLD, **{f"lib/{n}.js": f"exports.n = {n} + 1;\n" * 200 for n in range(5)}}


def rows() -> Iterator[Row]:
    """All rows, on a stack and a registry of their own; takes about five minutes."""
    if not shutil.which("wrk"):
        raise MachineError(
            "measuring under load", "wrk is not installed", hint="apt-get install wrk"
        )
    terms = contract.load(ROOT)
    files = (terms.compose_file, ROOT / "compose/tests.yaml")
    engine = Engine(files)
    built = bake.build(terms, engine, None)
    with registries.running(built.references["worker"]) as registry:
        for number in range(PAIRS):
            registry.publish(f"sample-{number}", "1.0.0", OLD)
            registry.publish(f"sample-{number}", "1.1.0", NEW)
        variables = {
            "ARTIFACTORY_URL": registry.inside,
            "ARTIFACTORY_TOKEN": registry.token,
            "API_RATE_LIMIT": "10000",
        }
        with gates.started(terms, engine, "upgrade-gate-bench-reviews", **variables) as gate:
            network = f"{gate.engine.project}_default"
            docker("network", "connect", "--alias", registries.HOST, network, registry.container)
            yield from _memory(gate)
            yield from _rates(gate, registry)
            yield from _load(gate)


def _memory(gate: Gate) -> Iterator[Row]:
    """Of the running stack, before it has anything to do."""
    for service in ("api", "worker", "cache"):
        held = tuple(resident(container) for container in gate.containers(service))
        yield Row(
            "reviews", f"memory of an idle {service}", "MB", held, "", (), "", True,
            "the interpreter, and the modules that it imports" if service != "cache" else "Redis",
        )  # fmt: skip


def _rates(gate: Gate, registry: Registry) -> Iterator[Row]:
    (taken,) = in_turns(REPEATS, lambda: [_npm(registry, n) for n in range(PAIRS)])
    theirs = tuple(round(PAIRS / seconds, 2) for seconds in taken)
    for workers in (1, 2, 4):
        _scale(gate, workers)
        (taken,) = in_turns(REPEATS, lambda: _review(gate, JOBS))
        ours = tuple(round(JOBS / seconds, 2) for seconds in taken)
        yield Row(
            "reviews", f"{workers} worker{'s' * (workers > 1)}", "reviews/s", ours, NPM, theirs,
            "", True, "Node's start, a process a review; two cores",
        )  # fmt: skip


def _npm(registry: Registry, number: int) -> None:
    assert registry.npm_diff(f"sample-{number}", "1.0.0", "1.1.0")


def _scale(gate: Gate, workers: int) -> None:
    with temporary_environment(gate.engine.variables):
        gate.engine.docker.compose.up(
            detach=True, no_build=True, quiet=True, wait=True, scales={"worker": workers}
        )


def _submit(gate: Gate, jobs: int) -> list[str]:
    return [gate.submit(f"sample-{n % PAIRS}", "1.0.0", "1.1.0", force=True) for n in range(jobs)]


def _review(gate: Gate, jobs: int) -> None:
    for review in gate.all_ended(_submit(gate, jobs)):
        assert review["status"] == "done", review


def _load(gate: Gate) -> Iterator[Row]:
    """While more jobs wait than are done meanwhile."""
    ids = _submit(gate, FULL)
    for path in ("/health", f"/v1/reviews/{ids[-1]}", "/v1/reviews?limit=20"):
        p99 = _wrk(gate, path)
        assert gate.review(ids[-1])["status"] == "queued", "the queue ran empty"
        what = f"{path.replace(ids[-1], '{id}')} while jobs wait, {CONNECTIONS} at once"
        limit = "two cores, which four workers have too"
        target, holds = f"under {BOUND_MS:.0f} ms", p99 < BOUND_MS
        yield Row("reviews", what, "ms, 99th percentile", (p99,), "", (), target, holds, limit)


def _wrk(gate: Gate, path: str) -> float:
    """The 99th percentile in milliseconds; each answer must be a good one."""
    command = [
        *("wrk", "--threads", "1", "--connections", str(CONNECTIONS)),
        *("--duration", f"{LOAD_SECONDS}s", "--latency"),
        *("--header", f"Authorization: Bearer {TOKEN}", f"{gate.address}{path}"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "Non-2xx" not in result.stdout, result.stdout
    assert "Socket errors" not in result.stdout, result.stdout
    found = _P99.search(result.stdout)
    assert found, result.stdout
    return round(float(found[1]) * _IN_MS[found[2]], 2)
