"""Tests of the stack copy: it shares only files and images with the original."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imageproof.deep import stack_copy
from imageproof.docker.client import Engine
from tests.support.sample_facts import contract

MODEL: dict[str, Any] = {
    "services": {
        "shop": {
            "container_name": "the-shop",
            "environment": {"API_TOKEN": "real", "LOG_LEVEL": "info", "TOKEN_URL": "/login"},
            "ports": [
                {"target": 8000, "published": "80", "protocol": "tcp"},
                {"target": 53, "protocol": "udp"},
            ],
        },
        "cache": {"volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
    },
    "volumes": {"data": {"name": "precious"}},
    "networks": {"default": {"name": "shop_default"}},
}


@dataclass(frozen=True)
class FakeEngine(Engine):
    """An engine whose compose file reads as `model`."""

    model: Any = None

    def compose_model(self, *, interpolate: bool) -> dict[str, Any]:
        return self.model


def _make(tmp_path: Path, model: Any = MODEL, **changes: Any) -> tuple[stack_copy.StackCopy, str]:
    engine = FakeEngine((Path("/nowhere/compose.yaml"),), model=model)
    copy = stack_copy.make(contract(), engine, tmp_path, changes)
    return copy, copy.engine.compose_files[-1].read_text()


def _service(text: str, name: str) -> str:
    return text.partition(f'"{name}":')[2].partition('\n  "')[0]


def test_each_copy_has_its_own_project_name(tmp_path):
    (first, _), (second, _) = _make(tmp_path), _make(tmp_path)
    assert first.project != second.project
    assert first.engine.project == first.project
    assert first.engine.compose_files[0] == contract().compose_file


def test_published_ports_become_free_ports_on_loopback(tmp_path):
    _, text = _make(tmp_path)
    assert 'ports: !override ["127.0.0.1::8000/tcp", "127.0.0.1::53/udp"]' in _service(text, "shop")
    assert "ports" not in _service(text, "cache")


def test_fixed_names_are_replaced(tmp_path):
    copy, text = _make(tmp_path)
    assert text.count("container_name: !reset null") == 2
    assert f'"data": {{name: {copy.project}_data}}' in text
    assert f'"default": {{name: {copy.project}_default}}' in text
    assert "precious" not in text


def test_only_secrets_become_canaries(tmp_path):
    copy, text = _make(tmp_path)
    assert copy.canaries.keys() == {"shop"}
    assert copy.canaries["shop"].keys() == {"API_TOKEN"}
    assert json.dumps(dict(copy.canaries["shop"])) in _service(text, "shop")


def test_changes_replace_keys_of_one_service(tmp_path):
    _, text = _make(tmp_path, cache={"healthcheck": {"test": ["CMD", "/nothing"]}})
    assert 'healthcheck: {"test": ["CMD", "/nothing"]}' in _service(text, "cache")
    assert "healthcheck" not in _service(text, "shop")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"volumes": {"data": {"external": True}}}, "external volume data"),
        ({"networks": {"lan": {"external": True}}}, "external network lan"),
        (
            {"services": {"shop": {"volumes": [{"type": "bind", "source": "/srv"}]}}},
            "shop may write to /srv",
        ),
        ({"services": {"shop": {"network_mode": "host"}}}, "network of this host"),
    ],
)
def test_stack_that_would_share_state_is_refused(changes, message, tmp_path):
    with pytest.raises(stack_copy.CannotCopy, match=message):
        _make(tmp_path, MODEL | changes)


def test_read_only_folder_may_be_shared(tmp_path):
    mount = {"type": "bind", "source": "/srv", "target": "/srv", "read_only": True}
    _make(tmp_path, MODEL | {"services": {"shop": {"volumes": [mount]}}})
