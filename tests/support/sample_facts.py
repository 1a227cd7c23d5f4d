"""What the tests of the toolkit share: an image, a container and a project that are all right,
to be spoilt in one place each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from imageproof.contract import Contract, ServiceContract
from imageproof.image.facts import File, Healthcheck, ImageFacts, Layer, Package
from imageproof.project.env_vars import ExampleEntry, Variable, VariableFacts
from imageproof.project.record import Record
from imageproof.runtime.containers import ContainerFacts, EnvironmentDigests
from imageproof.runtime.probe_client import Limits, Process, Socket, Writes

ROOT = Path(__file__).resolve().parents[2]
MB = 1_000_000
BASE_LABEL = "org.opencontainers.image.base.name"
DIGEST_LABEL = "org.opencontainers.image.base.digest"
TITLE_LABEL = "org.opencontainers.image.title"
TODAY = date(2026, 11, 23)
SITE = "opt/venv/lib/python3.11/site-packages"
SECRET = "sword" + "fish" * 3
SHAPED = "ghp_" + "x" * 36


@dataclass(frozen=True)
class Case:
    """Facts, and the terms that they are judged by if not `service_contract()`."""

    facts: Any
    terms: Any


def service_contract(**changes: Any) -> ServiceContract:
    """A contract for one image; `changes` replace keys of its table."""
    table: dict[str, Any] = {
        "service": "shop",
        "size": "10MB",
        "user": "10001:10001",
        "command": ["python", "-m", "shop"],
        "ports": [8000],
        "absent": ["sh", "npm"],
        "writable": ["/tmp"],
        "labels": [TITLE_LABEL],
        "programs": {"python": {"answers": r"^Python 3\.11\.\d+$"}},
        "health": {"notices_within": 45},
    }
    return ServiceContract.model_validate(table | changes)


def contract(**changes: Any) -> Contract:
    """A contract for a whole project, with that one image."""
    return Contract.model_validate(
        {"root": Path("/nowhere"), "images": {"shop": service_contract()}} | changes
    )


def file(path: str, **changes: Any) -> File:
    """A program of 1 kB, owned by root; `changes` make it something else."""
    return replace(File(path, "file", 1000, 0o755, 0, 0), **changes)


def layer(*files: File, size: int = MB, name: str = "a", **more: Any) -> Layer:
    """A layer with these files; `more`: its packages, texts and what else was seen in it."""
    return Layer(f"sha256:{name * 64}", size, files, f"COPY {name} /", **more)


def image(**changes: Any) -> ImageFacts:
    """An image that keeps the contract of `service_contract()`; `changes` spoil it."""
    good = ImageFacts(
        reference="shop:test",
        identity="sha256:" + "0" * 64,
        user="10001:10001",
        command=("python", "-m", "shop"),
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        labels={
            BASE_LABEL: "base.invalid/python:3.11",
            DIGEST_LABEL: "sha256:" + "1" * 64,
            TITLE_LABEL: "shop",
        },
        ports=("8000/tcp",),
        healthcheck=Healthcheck(("CMD", "python", "/probe.py"), 10, 3, 3),
        history=("COPY a /", 'CMD ["python" "-m" "shop"]'),
        layers=(layer(file("usr/bin/python")),),
        record=Record(TODAY),
    )
    return replace(good, **changes)


def having(*files: File, **more: Any) -> ImageFacts:
    """An image with these files beside its own, and what else its layer shall hold."""
    return image(layers=(layer(file("usr/bin/python"), *files, **more),))


def saying(texts: Mapping[str, str], *files: File) -> ImageFacts:
    """An image with these small files, whose text was kept."""
    kept = (file(path, mode=0o644) for path in texts)
    return having(*files, *kept, texts=texts)


def package(kind: Any, name: str, version: str = "1.0", **changes: Any) -> Package:
    """A package, with its record where that kind has it."""
    records = {
        "dpkg": f"var/lib/dpkg/status.d/{name}",
        "apk": "lib/apk/db/installed",
        "python": f"{SITE}/{name}-{version}.dist-info/METADATA",
        "npm": f"app/node_modules/{name}/package.json",
    }
    return replace(Package(kind, name, version, records[kind]), **changes)


def installed(*packages: Package, files: tuple[File, ...] = (), **record: Any) -> ImageFacts:
    """An image with these packages, and what the repository has on record of it."""
    records = {p.record: file(p.record, mode=0o644) for p in packages}
    facts = having(*files, *records.values(), packages=packages)
    return replace(facts, record=Record(TODAY, **record))


def holding(*paths: str) -> ImageFacts:
    """An image with these programs beside its own."""
    return image(layers=(layer(file("usr/bin/python"), *map(file, paths)),))


def labelled(name: str, value: str) -> ImageFacts:
    """An image with one more label, or another value of one."""
    return image(labels={**image().labels, name: value})


def process(**changes: Any) -> Process:
    """A process without any privilege, that handles SIGTERM."""
    ids = (10001,) * 4
    good = Process(
        1, "python", ids, ids, (10001,), no_new_privileges=True, seccomp=2, caught=1 << 14
    )
    return replace(good, **changes)


def writes(*paths: str, **changes: Any) -> Writes:
    """A walk that found these paths to take writes, besides those that may."""
    good = Writes("10001:10001", True, ("/dev/shm", "/tmp", *paths), 1000)
    return replace(good, **changes)


def container(**changes: Any) -> ContainerFacts:
    """A healthy container with that one process, and no more than its contract allows."""
    limits = Limits(memory=64_000_000, pids=32, cpu=1.0)
    good = ContainerFacts(
        name="shop-1",
        status="running",
        health="healthy",
        restarts=0,
        out_of_memory=False,
        health_output="",
        processes=(process(),),
        ready_after=3.5,
        sockets=(Socket("tcp", "0.0.0.0", 8000, 1),),
        limits=limits,
        requested_limits=limits,
        writes=writes(),
        image_writes=writes(read_only=False),
        changed=("/run", "/run/secrets"),
        mounts=("/", "/proc", "/run/secrets", "/tmp"),
        environment=EnvironmentDigests(
            received={"PATH": "1", "HOME": "2", "LOG_LEVEL": "3", "LANG": "4"},
            passed={"LOG_LEVEL": "3"},
            image={"PATH": "1", "LANG": "4"},
        ),
    )
    return replace(good, **changes)


def running(**changes: Any) -> list[ContainerFacts]:
    """The containers of a service: one whose only process is spoilt."""
    return [container(processes=(process(**changes),))]


def variables(**changes: Any) -> VariableFacts:
    """Three places that agree on a plain variable and on a secret."""
    read = {
        "LOG_LEVEL": Variable("LOG_LEVEL", "info"),
        "API_TOKEN": Variable("API_TOKEN", "", secret=True),
    }
    passed = {name: replace(variable, secret=False) for name, variable in read.items()}
    good = VariableFacts(
        settings={"shop": read},
        example={
            "LOG_LEVEL": ExampleEntry("LOG_LEVEL", "info", documented=True),
            "API_TOKEN": ExampleEntry("API_TOKEN", "", documented=True),
            "API_PORT": ExampleEntry("API_PORT", "8000", documented=True),
        },
        compose={"shop": passed},
        interpolated=frozenset({"LOG_LEVEL", "API_TOKEN", "API_PORT"}),
    )
    return replace(good, **changes)


def example(name: str, value: str, *, documented: bool = True) -> VariableFacts:
    """The places that agree, but for one entry of .env.example."""
    good = variables().example or {}
    return variables(example={**good, name: ExampleEntry(name, value, documented)})


def passed(*, without: str = "", **values: str) -> VariableFacts:
    """The places that agree, but for what the compose file passes on."""
    good = variables().compose["shop"]
    found = {**good, **{name: Variable(name, value) for name, value in values.items()}}
    found.pop(without, None)
    return variables(compose={"shop": found})
