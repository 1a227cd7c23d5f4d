"""Rebuild and replace services when their files change, one service after the other.

The files are polled: their state is compared with that before the last build, so no change is lost,
whether it comes during a build or recreates whole folders. The kernel's events (inotify) would need
a library, a reader during builds, and the same comparison for network mounts and exceeded limits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from imageproof import console
from imageproof.build.bake import bake
from imageproof.build.options import Options, bake_options
from imageproof.build.progress import BuildLog
from imageproof.docker.client import service_of
from imageproof.docker.project_lock import project_lock
from imageproof.docker.replaced_images import remove_replaced_images
from imageproof.errors import EngineUnavailable, ImageproofError, StackFailed
from imageproof.project.watch_rules import Snapshot, changed_paths
from imageproof.signals import pause
from imageproof.stack import replace
from imageproof.stack.states import states

if TYPE_CHECKING:
    from imageproof.build.base_image import BaseImage
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.project.watch_rules import WatchRule

POLL_SECONDS = 0.25
POLL_SHARE = 4  # a poll that takes long is followed by a pause of so many times its duration
QUIET_SECONDS = 0.15  # without a change: an editor or git has written all its files
MAX_SETTLE_SECONDS = 5.0
STACK_SECONDS = 2.0  # between looks at the stack
SHOWN_FILES = 3


class StackRemoved(StackFailed):
    """Another command removed the containers of all watched services."""


class Watcher:
    """Applies the rules of the `develop` sections to the running stack until an error ends it."""

    def __init__(
        self, contract: Contract, engine: Engine, rules: Sequence[WatchRule], base: BaseImage
    ) -> None:
        """Take the first snapshot; later changes are applied by `run`."""
        self.contract = contract
        self.engine = engine
        self.rules = rules
        self.base = base
        services = engine.compose_model(interpolate=True)["services"]
        self.order = replace.dependency_order(services)
        self.tags = {name: service.get("image") for name, service in services.items()}
        self.unbuilt = {rule.service for rule in rules if rule.action == "rebuild"}
        self.unreplaced: set[str] = set()
        self.unrestarted: set[str] = set()
        self.snapshots = self._snapshots()

    def run(self) -> None:
        """Build what changed since the images were built, then apply each change.

        Raises:
            StackRemoved: another command removed the stack.
            EngineUnavailable: the engine does not answer.
        """
        self._apply()
        while True:
            console.say("  watching; Ctrl-C ends it, and the stack keeps running")
            self._note(self._wait_for_changes())
            self._apply()

    # --- changes of files

    def _snapshots(self) -> list[Snapshot]:
        return [rule.snapshot() for rule in self.rules]

    def _wait_for_changes(self) -> list[set[str]]:
        """Return the changed files of each rule."""
        looked_at_stack = time.monotonic()
        while True:
            started = time.monotonic()
            current = self._snapshots()
            duration = time.monotonic() - started
            if current != self.snapshots:
                before, self.snapshots = self.snapshots, self._settled(current)
                changes = list(map(changed_paths, before, self.snapshots))
                if any(changes):
                    return changes
            if time.monotonic() - looked_at_stack > STACK_SECONDS:
                self._require_stack()
                looked_at_stack = time.monotonic()
            pause(min(max(POLL_SECONDS, POLL_SHARE * duration), STACK_SECONDS))

    def _settled(self, current: list[Snapshot]) -> list[Snapshot]:
        """Wait until the files no longer change, and return their state."""
        deadline = time.monotonic() + MAX_SETTLE_SECONDS
        while True:
            pause(QUIET_SECONDS)
            previous, current = current, self._snapshots()
            if current == previous or time.monotonic() > deadline:
                return current

    def _note(self, changes: list[set[str]]) -> None:
        """Print the changed files, and note what each rule asks for."""
        for rule, paths in zip(self.rules, changes, strict=True):
            if paths:
                todo = self.unbuilt if rule.action == "rebuild" else self.unrestarted
                todo.add(rule.service)
        names = sorted(
            {os.path.relpath(path, self.contract.root) for path in set().union(*changes)}
        )
        more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
        console.step(f"changed: {', '.join(names[:SHOWN_FILES])}{more}")

    # --- the stack

    def _require_stack(self) -> list[dict[str, Any]]:
        """Return the stack's containers. Raises StackRemoved if the watched services have none."""
        services = sorted({rule.service for rule in self.rules})
        try:
            containers = self.engine.containers()
        except StackFailed:  # one was removed while it was inspected: the next look tells
            return []
        if not any(service_of(container) in services for container in containers):
            raise StackRemoved(
                "watching the code",
                f"another command removed the containers of {', '.join(services)}",
                hint="`./inv watch` starts the stack again",
            )
        return containers

    def _apply(self) -> None:
        """Apply what is noted. A failure is printed, and what could not be done stays noted."""
        try:
            with project_lock(self.engine, "watch"):
                # The lock's last holder may have been `down`.
                old_images = [container["Image"] for container in self._require_stack()]
                old_images += self._tagged_images()
                try:
                    self._build()
                    self._replace()
                    self._restart()
                finally:
                    remove_replaced_images(self.engine, old_images)
        except (StackRemoved, EngineUnavailable):
            raise
        except ImageproofError as error:
            console.render_error(error)
            console.say(
                "  services that are not replaced keep running; the next change tries again"
            )

    def _tagged_images(self) -> list[str]:
        """Return the ids of the images that the next build replaces, whether they ran or not."""
        tags = sorted({str(self.tags[service]) for service in self.unbuilt})
        images = self.engine.images(tags) if tags else {}
        return [str(image["Id"]) for image in images.values()]

    def _build(self) -> None:
        """Build all images that changed in one graph, so that shared steps run once."""
        services = self._in_order(self.unbuilt)
        if not services:
            return
        options = bake_options(Options(), {service: service for service in services})
        bake(
            self.contract,
            self.engine,
            services=services,
            base=self.base,
            log=BuildLog(),
            options=options,
        )
        tags = {self.tags[service] for service in services}
        running = {s.service for s in states(self.engine) if s.status == "running"}
        self.unreplaced |= {name for name in running if self.tags.get(name) in tags}
        self.unreplaced |= self.unbuilt
        self.unbuilt.clear()

    def _replace(self) -> None:
        for service in self._in_order(self.unreplaced):
            replace.replace_service(self.contract, self.engine, service)
            self.unreplaced.discard(service)
            self.unrestarted.discard(service)

    def _restart(self) -> None:
        for service in self._in_order(self.unrestarted):
            replace.restart_service(self.contract, self.engine, service)
            self.unrestarted.discard(service)

    def _in_order(self, services: Iterable[str]) -> list[str]:
        return [service for service in self.order if service in set(services)]
