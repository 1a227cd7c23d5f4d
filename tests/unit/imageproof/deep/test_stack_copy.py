"""imageproof.deep.stack_copy: a copy of the stack has nothing in common with the first one but files and images."""

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
class Pretending(Engine):
    """An engine whose compose file reads as `model`."""

    model: Any = None

    def compose_model(self, *, interpolate: bool) -> dict[str, Any]:
        return self.model


def _make(tmp_path: Path, model: Any = MODEL, **changes: Any) -> tuple[stack_copy.Twin, str]:
    engine = Pretending((Path("/nowhere/compose.yaml"),), model=model)
    made = stack_copy.make(contract(), engine, tmp_path, changes)
    return made, made.engine.compose_files[-1].read_text()


def _service(text: str, name: str) -> str:
    return text.partition(f'"{name}":')[2].partition('\n  "')[0]


def test_it_has_a_name_of_its_own(tmp_path):
    (first, _), (second, _) = _make(tmp_path), _make(tmp_path)
    assert first.project != second.project
    assert first.engine.project == first.project
    assert first.engine.compose_files[0] == contract().compose_file


def test_published_ports_become_free_ones_on_the_loopback(tmp_path):
    _, text = _make(tmp_path)
    assert 'ports: !override ["127.0.0.1::8000/tcp", "127.0.0.1::53/udp"]' in _service(text, "shop")
    assert "ports" not in _service(text, "cache")


def test_fixed_names_become_its_own(tmp_path):
    made, text = _make(tmp_path)
    assert text.count("container_name: !reset null") == 2
    assert f'"data": {{name: {made.project}_data}}' in text
    assert f'"default": {{name: {made.project}_default}}' in text
    assert "precious" not in text


def test_each_secret_is_a_canary_and_nothing_else_is(tmp_path):
    made, text = _make(tmp_path)
    assert made.canaries.keys() == {"shop"}
    assert made.canaries["shop"].keys() == {"API_TOKEN"}
    assert json.dumps(dict(made.canaries["shop"])) in _service(text, "shop")


def test_what_is_to_be_broken_is_laid_over(tmp_path):
    _, text = _make(tmp_path, cache={"healthcheck": {"test": ["CMD", "/nothing"]}})
    assert 'healthcheck: {"test": ["CMD", "/nothing"]}' in _service(text, "cache")
    assert "healthcheck" not in _service(text, "shop")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"volumes": {"data": {"external": True}}}, "volume data, which is external"),
        ({"networks": {"lan": {"external": True}}}, "network lan, which is external"),
        (
            {"services": {"shop": {"volumes": [{"type": "bind", "source": "/srv"}]}}},
            "shop may write to /srv",
        ),
        ({"services": {"shop": {"network_mode": "host"}}}, "network of this machine"),
    ],
)
def test_what_it_would_share_with_the_first_is_refused(changes, said, tmp_path):
    with pytest.raises(stack_copy.CannotTry, match=said):
        _make(tmp_path, MODEL | changes)


def test_a_folder_that_it_may_only_read_is_shared(tmp_path):
    mount = {"type": "bind", "source": "/srv", "target": "/srv", "read_only": True}
    _make(tmp_path, MODEL | {"services": {"shop": {"volumes": [mount]}}})
