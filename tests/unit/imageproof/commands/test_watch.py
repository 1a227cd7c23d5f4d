"""The watch command: the overlay that the contract names."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.commands import watch as module
from imageproof.commands.watch import watch
from imageproof.docker.client import Engine
from imageproof.errors import UsageError
from tests.support.sample_facts import contract


def test_missing_overlay_is_a_usage_error_that_names_it(tmp_path):
    project = contract(root=tmp_path, watch="development.yaml")
    with pytest.raises(UsageError, match=r"there is no development\.yaml"):
        watch(project, Engine(()), take_over=False)


BUILD = {"context": "/nowhere"}
RULE = {"action": "rebuild", "path": "/nowhere/app"}


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(
    ("overlay", "overlaid"),
    [
        ({"develop": {"watch": [RULE]}}, False),
        # Compose replaces a container whose `develop` section changes, so it is not passed on.
        ({"develop": {"watch": [RULE]}, "environment": {"RELOAD": "1"}}, True),
    ],
)
def test_overlay_is_used_for_the_containers_only_if_it_changes_them(
    monkeypatch, tmp_path, overlay, overlaid, running
):
    def model(engine: Engine, **_: Any) -> dict[str, Any]:
        shop = {"image": "shop:1", "build": BUILD}
        return {"services": {"shop": {**shop, **overlay} if engine.compose_files else shop}}

    steps: list[Any] = []

    class Watcher:
        def __init__(self, _: Any, engine: Engine, rules: Any, base: Any) -> None:
            steps.append(bool(engine.compose_files))

        def run(self) -> None:
            steps.append("watched")

    monkeypatch.setattr(Engine, "compose_model", model)
    monkeypatch.setattr(Engine, "require_answer", lambda _: None)
    monkeypatch.setattr(Engine, "containers", lambda *_, **__: ["a container"] * running)
    monkeypatch.setattr(module, "require_own_stack", lambda *_: None)
    monkeypatch.setattr(module.base_image, "resolve", lambda *_: None)
    monkeypatch.setattr(module.up, "up", lambda *_, **__: steps.append("up"))
    monkeypatch.setattr(module, "Watcher", Watcher)
    (tmp_path / "development.yaml").touch()
    watch(contract(root=tmp_path, watch="development.yaml"), Engine(()), take_over=False)
    assert steps == [*([] if running else ["up"]), overlaid, "watched"]
