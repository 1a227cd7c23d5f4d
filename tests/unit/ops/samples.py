"""What the tests of the toolkit share: an image, a container and a project that are all right,
to be spoilt in one place each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ops.contract import Contract, Image
from ops.facts.image import File, Healthcheck, ImageFacts, Layer
from ops.facts.running import ContainerFacts, Process
from ops.facts.variables import ExampleEntry, Variable, VariableFacts

ROOT = Path(__file__).resolve().parents[3]
MB = 1_000_000
BASE_LABEL = "org.opencontainers.image.base.name"
TITLE_LABEL = "org.opencontainers.image.title"


def terms(**changes: Any) -> Image:
    """A contract for one image; `changes` replace keys of its table."""
    table: dict[str, Any] = {
        "service": "shop",
        "size": "10MB",
        "user": "10001:10001",
        "command": ["python", "-m", "shop"],
        "ports": [8000],
        "absent": ["sh", "npm"],
        "labels": [TITLE_LABEL],
        "programs": {"python": {"answers": r"^Python 3\.11\.\d+$"}},
        "health": {"notices_within": 45},
    }
    return Image.model_validate(table | changes)


def contract(**changes: Any) -> Contract:
    """A contract for a whole project, with that one image."""
    return Contract.model_validate(
        {"root": Path("/nowhere"), "images": {"shop": terms()}} | changes
    )


def file(path: str, **changes: Any) -> File:
    """A program of 1 kB, owned by root; `changes` make it something else."""
    return replace(File(path, "file", 1000, 0o755, 0, 0), **changes)


def layer(*files: File, size: int = MB, name: str = "a") -> Layer:
    """A layer with these files."""
    return Layer(f"sha256:{name * 64}", size, files, f"COPY {name} /")


def image(**changes: Any) -> ImageFacts:
    """An image that keeps the contract of `terms()`; `changes` spoil it."""
    good = ImageFacts(
        reference="shop:test",
        identity="sha256:" + "0" * 64,
        user="10001:10001",
        command=("python", "-m", "shop"),
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        labels={BASE_LABEL: "base.invalid/python:3.11", TITLE_LABEL: "shop"},
        ports=("8000/tcp",),
        healthcheck=Healthcheck(("CMD", "python", "/probe.py"), 10, 3, 3),
        history=("COPY a /", 'CMD ["python" "-m" "shop"]'),
        layers=(layer(file("usr/bin/python")),),
    )
    return replace(good, **changes)


def holding(*paths: str) -> ImageFacts:
    """An image with these programs beside its own."""
    return image(layers=(layer(file("usr/bin/python"), *map(file, paths)),))


def process(**changes: Any) -> Process:
    """A process without any privilege."""
    ids = (10001,) * 4
    return replace(Process(1, "python", ids, ids, (10001,), 0, 0, 0, True), **changes)


def container(**changes: Any) -> ContainerFacts:
    """A healthy container with that one process."""
    return replace(
        ContainerFacts("shop-1", "running", "healthy", 0, False, "", (process(),)), **changes
    )


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
