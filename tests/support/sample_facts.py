"""Sample facts for tests: an image, a container and a project that pass every check.

Tests change one part of them: the functions `with_...` do that for the most frequent parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from imageproof.contract import Contract, ServiceContract
from imageproof.image.facts import File, Healthcheck, ImageFacts, Layer, Package
from imageproof.project.env_vars import ExampleEntry, VariableFacts
from imageproof.project.project_files import ProjectFiles
from imageproof.project.settings_class import Variable
from imageproof.runtime.containers import ContainerFacts, EnvironmentDigests
from imageproof.runtime.probe_client import Limits, Process, Socket, Writes

ROOT = Path(__file__).resolve().parents[2]
MB = 1_000_000
BASE_LABEL = "org.opencontainers.image.base.name"
DIGEST_LABEL = "org.opencontainers.image.base.digest"
TITLE_LABEL = "org.opencontainers.image.title"
TODAY = date(2026, 11, 23)
SITE_PACKAGES = "opt/venv/lib/python3.11/site-packages"
SECRET = "sword" + "fish" * 3  # a secret only by the name of its variable
SECRET_BY_SHAPE = "ghp_" + "x" * 36  # a GitHub token, whatever the name


@dataclass(frozen=True)
class Case:
    """Facts for a check, with a contract other than `service_contract()` or `contract()`."""

    facts: Any
    contract: Any


def service_contract(**changes: Any) -> ServiceContract:
    """Return the contract of one service; `changes` replace keys of its table."""
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
    """Return the contract of a project with this one service."""
    return Contract.model_validate(
        {"root": Path("/nowhere"), "images": {"shop": service_contract()}} | changes
    )


def file(path: str, **changes: Any) -> File:
    """Return a program of 1,000 bytes, owned by root; `changes` replace its fields."""
    return replace(File(path, "file", 1000, 0o755, 0, 0), **changes)


def layer(*files: File, size: int = MB, name: str = "a", **fields: Any) -> Layer:
    """Return a layer with these files; `name` is one hexadecimal digit, `fields` are the others."""
    return Layer(f"sha256:{name * 64}", size, files, f"COPY {name} /", **fields)


def image(**changes: Any) -> ImageFacts:
    """Return an image that passes by `service_contract()`; `changes` replace its fields."""
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
        project_files=ProjectFiles(TODAY),
    )
    return replace(good, **changes)


def with_files(*files: File, **layer_fields: Any) -> ImageFacts:
    """Return an image with more files; `layer_fields` are other fields of its layer."""
    return image(layers=(layer(file("usr/bin/python"), *files, **layer_fields),))


def with_texts(texts: Mapping[str, str], *files: File) -> ImageFacts:
    """Return an image with small files, whose texts are known, and other files."""
    text_files = (file(path, mode=0o644) for path in texts)
    return with_files(*files, *text_files, texts=texts)


def package(kind: Any, name: str, version: str = "1.0", **changes: Any) -> Package:
    """Return a package whose record is in the usual place of its kind."""
    records = {
        "dpkg": f"var/lib/dpkg/status.d/{name}",
        "apk": "lib/apk/db/installed",
        "python": f"{SITE_PACKAGES}/{name}-{version}.dist-info/METADATA",
        "npm": f"app/node_modules/{name}/package.json",
    }
    return replace(Package(kind, name, version, records[kind]), **changes)


def with_packages(
    *packages: Package, files: tuple[File, ...] = (), **project_files: Any
) -> ImageFacts:
    """Return an image with these packages; `project_files` are fields of its `ProjectFiles`."""
    records = {p.record: file(p.record, mode=0o644) for p in packages}
    facts = with_files(*files, *records.values(), packages=packages)
    return replace(facts, project_files=ProjectFiles(TODAY, **project_files))


def with_programs(*paths: str) -> ImageFacts:
    """Return an image with more programs."""
    return with_files(*map(file, paths))


def with_label(name: str, value: str) -> ImageFacts:
    """Return an image with a label added or replaced."""
    return image(labels={**image().labels, name: value})


def process(**changes: Any) -> Process:
    """Return a process without privileges that handles SIGTERM."""
    ids = (10001,) * 4
    good = Process(
        1, "python", ids, ids, (10001,), no_new_privileges=True, seccomp=2, caught=1 << 14
    )
    return replace(good, **changes)


def writes(*paths: str, **changes: Any) -> Writes:
    """Return the result of a write probe: these paths and the allowed ones are writable."""
    good = Writes("10001:10001", True, ("/dev/shm", "/tmp", *paths), 1000)
    return replace(good, **changes)


def container(**changes: Any) -> ContainerFacts:
    """Return a healthy container with `process()` that passes by its contract."""
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


def with_process(**changes: Any) -> list[ContainerFacts]:
    """Return the containers of a service: one, whose only process has these changes."""
    return [container(processes=(process(**changes),))]


def variables(**changes: Any) -> VariableFacts:
    """Return equal settings class, .env.example and compose file: a plain variable and a secret."""
    settings = {
        "LOG_LEVEL": Variable("LOG_LEVEL", "info"),
        "API_TOKEN": Variable("API_TOKEN", "", secret=True),
    }
    passed = {name: replace(variable, secret=False) for name, variable in settings.items()}
    good = VariableFacts(
        settings={"shop": settings},
        example={
            "LOG_LEVEL": ExampleEntry("LOG_LEVEL", "info", documented=True),
            "API_TOKEN": ExampleEntry("API_TOKEN", "", documented=True),
            "API_PORT": ExampleEntry("API_PORT", "8000", documented=True),
        },
        compose={"shop": passed},
        interpolated=frozenset({"LOG_LEVEL", "API_TOKEN", "API_PORT"}),
    )
    return replace(good, **changes)


def with_example(name: str, value: str, *, documented: bool = True) -> VariableFacts:
    """Return `variables()` with one entry of .env.example added or replaced."""
    good = variables().example or {}
    return variables(example={**good, name: ExampleEntry(name, value, documented)})


def with_passed(*, without: str = "", **values: str) -> VariableFacts:
    """Return `variables()` with other variables in the compose file, and one of them removed."""
    good = variables().compose["shop"]
    changed = {**good, **{name: Variable(name, value) for name, value in values.items()}}
    changed.pop(without, None)
    return variables(compose={"shop": changed})
