"""Tests of the watch loop: what it does after a failure, with real files and a made-up stack.

tests/e2e/test_daily_use.py watches a real stack.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.errors import BuildFailed, EngineUnavailable, StackFailed
from imageproof.project.watch_rules import WatchRule
from imageproof.stack import watch as module
from imageproof.stack.replace import dependency_order
from imageproof.stack.watch import StackRemoved, Watcher
from tests.support.sample_facts import contract

SERVICES = {
    "api": {"image": "shop/api:1", "depends_on": {"cache": {}}},
    "proxy": {"image": "proxy:1"},
    "cache": {"image": "shop/cache:1"},
    "job": {"image": "shop/api:1"},  # runs the API's image
}


class Stack:
    """Records what is done, and fails where a test says."""

    def __init__(self, monkeypatch) -> None:
        self.done: list[str] = []
        self.failures: dict[str, Exception] = {}
        self.containers = [
            {
                "Image": "the running image",
                "Config": {"Labels": {"com.docker.compose.service": "api"}},
            }
        ]
        self.old: list[list[str]] = []  # images to remove if they were replaced
        monkeypatch.setattr(module, "project_lock", lambda *_: contextlib.nullcontext())
        monkeypatch.setattr(module, "states", lambda _: self._states())
        monkeypatch.setattr(module, "bake", lambda *_, services, **__: self._do("build", *services))
        monkeypatch.setattr(module.replace, "replace_service", lambda *a: self._do("replace", a[2]))
        monkeypatch.setattr(module.replace, "restart_service", lambda *a: self._do("restart", a[2]))
        monkeypatch.setattr(module, "remove_replaced_images", lambda _, ids: self.old.append(ids))
        monkeypatch.setattr(module, "QUIET_SECONDS", 0.001)
        monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
        self.engine: Any = SimpleNamespace(
            compose_model=lambda **_: {"services": SERVICES},
            containers=lambda *_: self.containers,
            images=lambda tags: {tag: {"Id": f"id of {tag}"} for tag in tags},
        )

    def _states(self) -> list[Any]:
        return [SimpleNamespace(service=name, status="running") for name in ("api", "cache", "job")]

    def _do(self, action: str, *services: str) -> None:
        step = f"{action} {' '.join(services)}"
        if failure := self.failures.get(step):
            raise failure
        self.done.append(step)


@pytest.fixture
def stack(monkeypatch) -> Stack:
    return Stack(monkeypatch)


@pytest.fixture
def watcher(stack: Stack, tmp_path: Path) -> Watcher:
    """Watch three services, after the first build."""
    rules = [
        *(WatchRule("api", "rebuild", tmp_path / name) for name in ("shared", "api")),
        *(WatchRule("cache", "rebuild", tmp_path / name) for name in ("shared", "cache")),
        WatchRule("proxy", "restart", tmp_path / "proxy.conf"),
    ]
    base: Any = None
    watcher = Watcher(contract(root=tmp_path), stack.engine, rules, base)
    watcher._apply()
    stack.done.clear()
    return watcher


def _change(watcher: Watcher, name: str) -> None:
    """Change a file, and let the watcher apply it as `run` does."""
    path = watcher.contract.root / name
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    watcher._note(watcher._wait_for_changes())
    watcher._apply()


def test_services_are_replaced_after_those_that_they_depend_on():
    order = dependency_order(SERVICES)
    assert order.index("cache") < order.index("api")
    assert set(order) == set(SERVICES)


def test_shared_file_is_built_once_and_its_services_are_replaced_one_after_the_other(
    stack, watcher
):
    _change(watcher, "shared")
    order = [step.split()[1] for step in stack.done[1:]]
    assert stack.done[0] == "build cache api"
    assert [step.split()[0] for step in stack.done[1:]] == ["replace"] * 3
    assert order.index("cache") < order.index("api")
    assert "job" in order  # it runs the image that was built


def test_replaced_images_are_removed_also_those_that_never_ran(stack, watcher):
    stack.failures["replace cache"] = StackFailed("waiting", "it is exited")
    _change(watcher, "shared")
    assert {"the running image", "id of shop/cache:1"} <= set(stack.old[-1])


def test_changed_service_only_is_built(stack, watcher):
    _change(watcher, "cache")
    _change(watcher, "proxy.conf")
    assert stack.done == ["build cache", "replace cache", "restart proxy"]


def test_failed_build_replaces_nothing_and_is_built_again_with_the_next_change(
    stack, watcher, capfd
):
    stack.failures["build cache api"] = BuildFailed("building", "line 3 is wrong")
    _change(watcher, "shared")
    assert stack.done == []
    assert "line 3 is wrong" in capfd.readouterr().err
    stack.failures.clear()
    _change(watcher, "cache")
    assert stack.done[0] == "build cache api"


def test_unhealthy_service_keeps_the_others_until_the_next_change(stack, watcher, capfd):
    stack.failures["replace cache"] = StackFailed("waiting", "it is exited", tail=["no such key"])
    _change(watcher, "shared")
    assert "replace api" not in stack.done
    assert "no such key" in capfd.readouterr().err
    stack.failures.clear()
    stack.done.clear()
    _change(watcher, "cache")
    assert {"build cache", "replace cache", "replace api"} <= set(stack.done)


def test_change_during_a_build_is_applied_after_it(stack, watcher, monkeypatch):
    file = watcher.contract.root / "shared"

    def edit_once(*_: Any, services: list[str], **__: Any) -> None:
        if not stack.done:
            file.write_text("edited during the build")
        stack._do("build", *services)

    monkeypatch.setattr(module, "bake", edit_once)
    _change(watcher, "shared")
    watcher._note(watcher._wait_for_changes())
    watcher._apply()
    assert stack.done.count("build cache api") == 2


def test_removed_stack_ends_the_watch(stack, watcher):
    stack.containers = []
    with pytest.raises(StackRemoved, match="another command removed the containers") as caught:
        _change(watcher, "shared")
    assert caught.value.status == 1
    assert caught.value.hint
    assert stack.done == []


def test_removed_stack_is_noticed_without_a_change(stack, watcher, monkeypatch):
    monkeypatch.setattr(module, "STACK_SECONDS", 0)
    stack.containers = []
    with pytest.raises(StackRemoved):
        watcher._wait_for_changes()


def test_engine_that_stopped_ends_the_watch(stack, watcher):
    stack.failures["build cache api"] = EngineUnavailable("building", "no answer")
    with pytest.raises(EngineUnavailable):
        _change(watcher, "shared")
