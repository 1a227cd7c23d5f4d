"""The `watch` command."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build.base_image import resolve
from imageproof.build.variables import build_variables
from imageproof.docker.client import Engine
from imageproof.docker.errors import translating
from imageproof.errors import UsageError

if TYPE_CHECKING:
    from imageproof.contract import Contract


def watch(contract: Contract, engine: Engine) -> None:
    """Rebuild and replace a service when its code changes (docker compose watch)."""
    files = engine.compose_files
    if contract.watch:
        overlay = contract.root / contract.watch
        if not overlay.exists():
            raise UsageError(
                "watching the code",
                f"there is no {contract.watch}, which the contract names",
                hint="create it, with a `develop: watch:` section for each service",
            )
        files = (*files, overlay)
    variables = build_variables(contract, resolve(contract, engine))
    watch_engine = Engine(files, engine.project, variables)
    console.step("watch (Ctrl-C ends it; the stack keeps running)")
    with translating("watching the code"), contextlib.suppress(KeyboardInterrupt):
        watch_engine.run_compose("watch")
