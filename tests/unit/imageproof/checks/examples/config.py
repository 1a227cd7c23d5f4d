"""Faults and near misses of the config.* checks."""

from __future__ import annotations

from typing import Any

from imageproof.image.facts import Healthcheck
from tests.support.sample_facts import (
    BASE_LABEL,
    TITLE_LABEL,
    Case,
    image,
    service_contract,
    with_label,
)


def _started(*command: str, entrypoint: tuple[str, ...] = ()) -> Any:
    return image(command=command, entrypoint=entrypoint)


def _probe(*test: str, interval: float = 10, timeout: float = 3, retries: int = 3) -> Any:
    return image(healthcheck=Healthcheck(test or ("CMD", "x"), interval, timeout, retries))


def _env(**variables: str) -> Any:
    return image(environment={"PATH": "/usr/bin:/bin", **variables})


HOME = service_contract(workdir="/app")
UNBUFFERED = service_contract(env={"PYTHONUNBUFFERED": "1"})
VOLUME = service_contract(volumes=["/data"])
ALLOC = "/usr/lib/libjemalloc.so"

FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "config.exec-form": [
        (_started("/bin/sh", "-c", "python -m shop"), "a shell runs the command"),
        (_started("python -m shop", entrypoint=("/bin/bash", "-c")), "a shell runs the command"),
        (
            _started("sh", "-c", "python -m shop", entrypoint=("busybox",)),
            "`busybox sh -c python -m shop`",
        ),
        (
            _started("python", "-m", "shop", "--debug"),
            "`python -m shop --debug`, the contract's is `python -m shop`",
        ),
        (_started("python -m shop"), "the command is `python -m shop`"),
        (_started(), "the command is not set, the contract's is `python -m shop`"),
        (_started("python", "-m", "shop", entrypoint=("/init",)), "`/init python -m shop`"),
    ],
    "config.healthcheck": [
        (image(healthcheck=None), "no HEALTHCHECK"),
        (_probe("CMD", "true"), "cannot fail"),
        (_probe("CMD", "/bin/true"), "cannot fail"),
        (_probe("CMD-SHELL", "exit 0"), "cannot fail"),
        (_probe("CMD-SHELL", " : "), "cannot fail"),
        (_probe("CMD-SHELL", "curl -f localhost || true"), "cannot fail"),
        (_probe(retries=4), "after up to 52 s, the limit is 45 s"),
        (_probe(interval=12.1), "45.3 s"),
        (_probe(timeout=30, interval=30), "180 s"),
    ],
    "config.labels": [
        (image(labels={BASE_LABEL: "x"}), TITLE_LABEL),
        (with_label(TITLE_LABEL, ""), TITLE_LABEL),
    ],
    "config.ports": [
        (image(ports=()), "8000 is in the contract, but not exposed"),
        (image(ports=("8000/tcp", "9000/udp")), "9000 is exposed"),
        (image(ports=("8000/tcp", "80/tcp")), "80 is privileged"),
        (image(ports=("8000/tcp", "1023/tcp")), "1023 is privileged"),
    ],
    "config.workdir": [
        (image(workdir="/"), "the working directory is /, the contract's is /app", HOME),
        (image(workdir=""), "the working directory is /, the contract's is /app", HOME),
        (image(workdir="/app/src"), "is /app/src, the contract's is /app", HOME),
        (image(workdir="app"), "app is relative"),
    ],
    "config.volumes": [
        (image(volumes=("/data",)), "/data is declared, but not in the contract"),
        (image(volumes=("/",)), "the volume / is declared, but not in the contract"),
        (image(), "the volume / is in the contract", service_contract(volumes=["/"])),
        (image(volumes=("/data", "/logs")), "/logs is declared, but not in the contract", VOLUME),
        (image(), "/data is in the contract, but not declared", VOLUME),
    ],
    "config.env": [
        (_env(), "PYTHONUNBUFFERED is not set, the contract's is '1'", UNBUFFERED),
        (_env(PYTHONUNBUFFERED="0"), "PYTHONUNBUFFERED has another value", UNBUFFERED),
        (_env(LD_PRELOAD=ALLOC), "LD_PRELOAD"),
        (_env(LD_LIBRARY_PATH="/opt/lib"), "LD_LIBRARY_PATH"),
        (_env(PYTHONSTARTUP="/x.py"), "PYTHONSTARTUP"),
        (_env(NODE_OPTIONS="--max-old-space-size=64 --require /x.js"), "NODE_OPTIONS"),
        (_env(NODE_OPTIONS="-r /x.js"), "NODE_OPTIONS"),
        (_env(JAVA_TOOL_OPTIONS="-javaagent:/x.jar"), "JAVA_TOOL_OPTIONS"),
        (_env(PATH="bin:/usr/bin"), "PATH has the relative folder 'bin'"),
        (_env(PATH="/usr/bin:"), "PATH has the relative folder ''"),
        (_env(PYTHONPATH="."), "PYTHONPATH has the relative folder '.'"),
        (_env(PATH="/tmp/bin:/usr/bin"), "/tmp/bin, which the program can write"),
        (_env(PATH="/usr/bin:/opt/../dev/shm"), "/dev/shm, which the program can write"),
        (_env(PYTHONPATH="/data"), "/data, which", service_contract(writable=["/data/"])),
    ],
    "config.stop-signal": [
        (image(stop_signal="SIGINT"), "is SIGINT, the contract's is SIGTERM"),
        (image(stop_signal="9"), "is 9"),
        (image(stop_signal="SIGRTMIN+3"), "SIGRTMIN+3"),
        (image(), "is SIGTERM, the contract's is SIGQUIT", service_contract(stop_signal="SIGQUIT")),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "config.exec-form": [
        _started("-m", "shop", entrypoint=("python",)),
        Case(_started("sh"), service_contract(command=["sh"])),
        Case(_started("nice", "-c"), service_contract(command=["nice", "-c"])),
        image(),
    ],
    "config.healthcheck": [
        _probe("CMD", "true-enough"),
        _probe("CMD-SHELL", "curl -f localhost || exit 1"),
        _probe(interval=12, timeout=3, retries=3),  # the limit itself
    ],
    "config.labels": [with_label("more", "")],
    "config.ports": [
        image(ports=("8000/udp",)),
        image(ports=("8000",)),
        Case(image(ports=("1024/tcp",)), service_contract(ports=[1024])),
    ],
    "config.workdir": [
        image(workdir=""),
        image(workdir="/anywhere"),
        Case(image(workdir="/app"), HOME),
        Case(image(workdir="/app/"), HOME),
        Case(image(), service_contract(workdir="/")),
    ],
    "config.volumes": [
        Case(image(volumes=("/data",)), VOLUME),
        Case(image(volumes=("/data/",)), VOLUME),
        Case(image(volumes=("/",)), service_contract(volumes=["/"])),
    ],
    "config.env": [
        image(environment={}),
        Case(_env(PYTHONUNBUFFERED="1"), UNBUFFERED),
        Case(_env(LD_PRELOAD=ALLOC), service_contract(env={"LD_PRELOAD": ALLOC})),
        _env(LD_PRELOAD="", PYTHONPATH=""),
        _env(NODE_OPTIONS="--max-old-space-size=64", JAVA_TOOL_OPTIONS="-XX:+UseZGC", ENV="live"),
        _env(PYTHONPATH="/app:/opt/lib", PYTHONDONTWRITEBYTECODE="1", PATH="/tmpl/bin:/bin"),
        _env(PATH="/usr/local/sbin:/not/there"),
    ],
    "config.stop-signal": [
        image(stop_signal=""),
        *(image(stop_signal=name) for name in ("SIGTERM", "TERM", "15", "sigterm")),
        Case(image(stop_signal="3"), service_contract(stop_signal="SIGQUIT")),
        Case(image(stop_signal="RTMIN+3"), service_contract(stop_signal="SIGRTMIN+3")),
    ],
}
