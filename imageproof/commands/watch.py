"""The `watch` command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build import base_image
from imageproof.commands import up
from imageproof.errors import UsageError
from imageproof.project.watch_rules import read_rules
from imageproof.stack.ownership import require_own_stack
from imageproof.stack.watch import Watcher

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def watch(contract: Contract, engine: Engine, *, take_over: bool) -> None:
    """Rebuild and replace services when their files change, until a signal.

    `take_over`: also change a stack that was started from another folder.

    Raises:
        UsageError: the overlay is missing, or has a rule that cannot be applied.
        StackRemoved: another command removed the stack.
        EngineUnavailable: the engine does not answer.
    """
    overlaid = _with_overlay(contract, engine)
    model = overlaid.compose_model(interpolate=True)
    rules = read_rules(model)
    for rule in rules:
        if not rule.path.exists():
            console.warn(f"{rule.service}: the watched path {rule.path} does not exist (yet)")
    engine.require_answer()
    if not take_over:
        require_own_stack(contract, engine, "watch")
    if not engine.containers(stopped=False):
        console.say("  the stack is not running, so it is started first")
        up.up(contract, engine, dry_run=False, wait=True, take_over=take_over)
    # Compose replaces a container when its `develop` section changes; the next `up`, without the
    # overlay, would replace it again.
    is_overlay_of_develop = _without_develop(model) == _without_develop(
        engine.compose_model(interpolate=True)
    )
    watched = engine if is_overlay_of_develop else overlaid
    console.step(f"watch {', '.join(sorted({rule.service for rule in rules}))}")
    Watcher(contract, watched, rules, base_image.resolve(contract, engine)).run()


def _with_overlay(contract: Contract, engine: Engine) -> Engine:
    """Return the engine with the overlay that the contract names."""
    if not contract.watch:
        return engine
    overlay = contract.root / contract.watch
    if not overlay.exists():
        raise UsageError(
            "watching the code",
            f"there is no {contract.watch}, which the contract names",
            hint="create it, with a `develop: watch:` section for each service",
        )
    return replace(engine, compose_files=(*engine.compose_files, overlay))


def _without_develop(model: dict[str, Any]) -> dict[str, Any]:
    services = {
        name: {key: value for key, value in service.items() if key != "develop"}
        for name, service in (model.get("services") or {}).items()
    }
    return {**model, "services": services}
