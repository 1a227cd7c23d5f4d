"""Reviews a second with one, two and four workers, beside `npm diff`, and the API under load."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

from imageproof import contract
from imageproof.build import bake
from imageproof.docker.client import Engine
from imageproof.errors import MachineError
from tests.bench.images import resident_megabytes
from tests.bench.row import Row, in_turns, median
from tests.support import verdaccio
from tests.support.commands import ROOT, docker
from tests.support.review_stack import TOKEN, ReviewStack, running_stack
from tests.support.verdaccio import Registry

JOBS, QUEUED_JOBS = 40, 300
PAIRS = 10
REPEATS = 3
LOAD_SECONDS, CONNECTIONS = 10, 4
NPM = "npm diff, once a pair"
MAX_P99_MS = 50.0
P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
# 20 files, 5 of which differ.
OLD = {f"lib/{n}.js": f"exports.n = {n};\n" * 200 for n in range(20)}
NEW = {**OLD, **{f"lib/{n}.js": f"exports.n = {n} + 1;\n" * 200 for n in range(5)}}


def rows() -> Iterator[Row]:
    """Measure everything on a stack and a registry of their own, in about five minutes."""
    if not shutil.which("wrk"):
        raise MachineError(
            "measuring under load", "wrk is not installed", hint="apt-get install wrk"
        )
    project = contract.load(ROOT)
    engine = Engine((project.compose_file, ROOT / "compose/tests.yaml"))
    built = bake.build(project, engine, None)
    with verdaccio.serving(built.references["worker"]) as registry:
        for number in range(PAIRS):
            registry.publish(f"sample-{number}", "1.0.0", OLD)
            registry.publish(f"sample-{number}", "1.1.0", NEW)
        variables = {
            "ARTIFACTORY_URL": registry.stack_address,
            "ARTIFACTORY_TOKEN": registry.token,
            "API_RATE_LIMIT": "10000",
        }
        with running_stack(project, engine, "upgrade-gate-bench-reviews", **variables) as stack:
            network = f"{stack.engine.project}_default"
            docker("network", "connect", "--alias", verdaccio.HOST, network, registry.container)
            yield from _memory(stack)
            yield from _rates(stack, registry)
            yield from _load(stack)


def _memory(stack: ReviewStack) -> Iterator[Row]:
    for service in ("api", "worker", "cache"):
        megabytes = tuple(resident_megabytes(each) for each in stack.containers(service))
        bound = "Redis" if service == "cache" else "Python and its imported modules"
        case = f"memory of {service} without jobs"
        yield Row("reviews", case, "MB", megabytes, "", (), "", True, bound)


def _rates(stack: ReviewStack, registry: Registry) -> Iterator[Row]:
    (seconds,) = in_turns(REPEATS, lambda: [_npm(registry, n) for n in range(PAIRS)])
    theirs = tuple(round(PAIRS / each, 2) for each in seconds)
    for workers in (1, 2, 4):
        _scale(stack, workers)
        (seconds,) = in_turns(REPEATS, lambda: _review(stack, JOBS))
        ours = tuple(round(JOBS / each, 2) for each in seconds)
        one = workers == 1
        yield Row(
            "reviews", f"{workers} worker{'' if one else 's'}", "reviews/s", ours, NPM, theirs,
            "at least as many" if one else "", not one or median(ours) >= median(theirs),
            "the start of Node, once a review, on two processors", more_is_better=True,
        )  # fmt: skip


def _npm(registry: Registry, number: int) -> None:
    assert registry.npm_diff(f"sample-{number}", "1.0.0", "1.1.0")


def _scale(stack: ReviewStack, workers: int) -> None:
    options = ("--detach", "--no-build", "--wait", "--scale", f"worker={workers}")
    stack.engine.compose("starting the workers", "up", *options)


def _submit(stack: ReviewStack, jobs: int) -> list[str]:
    return [stack.submit(f"sample-{n % PAIRS}", "1.0.0", "1.1.0", force=True) for n in range(jobs)]


def _review(stack: ReviewStack, jobs: int) -> None:
    for review in stack.wait_for_reviews(_submit(stack, jobs)):
        assert review["status"] == "done", review


def _load(stack: ReviewStack) -> Iterator[Row]:
    """Measure the API while more jobs wait than the workers do in that time."""
    last = _submit(stack, QUEUED_JOBS)[-1]
    for path in ("/health", "/v1/reviews/{id}", "/v1/reviews?limit=20"):
        p99 = _wrk(stack, path.replace("{id}", last))
        assert stack.status(last) == "queued", "the queue ran empty"
        yield Row(
            "reviews", f"{path} while jobs wait, {CONNECTIONS} connections", "ms, 99th percentile",
            (p99,), "", (), f"under {MAX_P99_MS:.0f} ms", p99 < MAX_P99_MS,
            "two processors, shared with four workers",
        )  # fmt: skip


def _wrk(stack: ReviewStack, path: str) -> float:
    """Return the 99th percentile of the latency in milliseconds; every response must be good."""
    command = [
        *("wrk", "--threads", "1", "--connections", str(CONNECTIONS)),
        *("--duration", f"{LOAD_SECONDS}s", "--latency"),
        *("--header", f"Authorization: Bearer {TOKEN}", f"{stack.address}{path}"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "Non-2xx" not in result.stdout, result.stdout
    assert "Socket errors" not in result.stdout, result.stdout
    match = P99.search(result.stdout)
    assert match, result.stdout
    return round(float(match[1]) * MILLISECONDS[match[2]], 2)
