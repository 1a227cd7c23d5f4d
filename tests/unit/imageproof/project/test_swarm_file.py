"""Compose file and stack file of a swarm: equal settings in two schemas."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import UsageError
from imageproof.project.swarm_file import FILLER, engine_for_stack, read_stack_files
from tests.support.sample_facts import contract

COMMON = {
    "init": True,
    "read_only": True,
    "cap_drop": ["ALL"],
    "stop_grace_period": "10s",
    "logging": {"driver": "json-file", "options": {"max-size": "1m", "max-file": "2"}},
    "healthcheck": {"test": ["CMD", "true"], "retries": 2},
}
COMPOSE = {
    **COMMON,
    "mem_limit": "67108864",
    "cpus": 1.0,
    "pids_limit": 32,
    "tmpfs": ["/tmp:size=1m,mode=1777,noexec"],
    "volumes": [{"type": "volume", "source": "data", "target": "/data", "volume": {}}],
    "ports": [{"target": 80, "published": "8000", "host_ip": "127.0.0.1", "mode": "ingress"}],
    "environment": {"LOG_LEVEL": "info", "API_TOKEN": ""},
    "security_opt": ["no-new-privileges:true"],  # not supported by a swarm
    "restart": "unless-stopped",
    "memswap_limit": "67108864",
}
SWARM = {
    **COMMON,
    "deploy": {
        "replicas": 3,
        "resources": {"limits": {"memory": "67108864", "cpus": 1, "pids": 32}},
    },
    "volumes": [
        {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": "1048576"}},
        {"type": "volume", "source": "data", "target": "/data", "volume": {}},
    ],
    "ports": [{"target": 80, "published": "8000", "mode": "host"}],
    "environment": {"LOG_LEVEL": "info"},
    "secrets": [{"source": "token", "target": "/run/secrets/api_token"}],
}
UNINTERPOLATED = {"LOG_LEVEL": "${LOG_LEVEL:-info}", "API_TOKEN": "${API_TOKEN:-}"}


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reader of both files. `calls`: the file and variables of each call of Compose."""
    (tmp_path / "stack.yaml").write_text("image: ${SHOP_IMAGE:?by its digest}\n")
    calls: list[Any] = []

    def read_both(compose: dict[str, Any], swarm: dict[str, Any]):
        def compose_model(self, *, interpolate, defaults=False):
            keys = swarm if self.compose_files[0].name == "stack.yaml" else compose
            calls.append((self.compose_files[0].name, dict(self.variables)))
            if interpolate:
                return {"services": {"shop": keys}}
            environment = {name: UNINTERPOLATED[name] for name in keys["environment"]}
            return {"services": {"shop": {**keys, "environment": environment}}}

        monkeypatch.setattr(Engine, "compose_model", compose_model)
        return read_stack_files(contract(root=tmp_path, stack="stack.yaml"), Engine(()))

    read_both.calls = calls
    return read_both


def test_equal_services_have_equal_settings_in_both_schemas(read):
    facts = read(COMPOSE, SWARM)
    assert facts.compose["shop"].settings == facts.swarm["shop"].settings
    assert facts.swarm["shop"].settings["the mount /tmp"] == "tmpfs of 1048576 bytes"
    assert facts.swarm["shop"].secrets == {"API_TOKEN"}
    assert facts.compose["shop"].environment == {"LOG_LEVEL": "info", "API_TOKEN": ""}
    assert facts.swarm["shop"].environment == {"LOG_LEVEL": "info"}
    assert facts.secret_variables == frozenset()  # the contract names no settings class


@pytest.mark.parametrize(
    ("key", "value", "setting"),
    [
        ("init", False, "init"),
        ("read_only", False, "read_only"),
        ("cap_drop", [], "cap_drop"),
        ("cap_add", ["CHOWN"], "cap_add"),
        ("user", "0", "user"),
        ("command", ["sh"], "command"),
        ("healthcheck", {"test": ["NONE"]}, "healthcheck"),
        ("stop_grace_period", "1m0s", "stop_grace_period"),
        ("logging", {"driver": "json-file"}, "logging"),
        ("deploy", {"resources": {"limits": {"cpus": 1, "pids": 32}}}, "the memory limit"),
        ("volumes", SWARM["volumes"][:1], "the mount /data"),
        ("volumes", [{**SWARM["volumes"][0], "tmpfs": {}}, SWARM["volumes"][1]], "the mount /tmp"),
        ("ports", [], "port 80"),
    ],
)
def test_difference_shows_in_one_setting(read, key, value, setting):
    facts = read(COMPOSE, {**SWARM, key: value})
    compose, swarm = facts.compose["shop"].settings, facts.swarm["shop"].settings
    assert [s for s in compose.keys() | swarm.keys() if compose.get(s) != swarm.get(s)] == [setting]


def test_required_variables_of_the_stack_file_get_a_filler(read):
    read(COMPOSE, SWARM)
    assert dict(read.calls) == {"compose.yaml": {}, "stack.yaml": {"SHOP_IMAGE": FILLER}}


def test_contract_without_stack_file_gives_none():
    assert read_stack_files(contract(), Engine(())) is None
    with pytest.raises(UsageError):
        engine_for_stack(contract(), Engine(()), "till")


def test_engine_for_stack_sees_its_tasks_and_the_project_variables(tmp_path, monkeypatch):
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    (tmp_path / ".env").write_text("LOG_LEVEL=debug\n")
    (tmp_path / "stack.yaml").write_text("${SHOP_IMAGE:?by its digest} ${LOG_LEVEL:-info}\n")
    engine = engine_for_stack(contract(root=tmp_path, stack="stack.yaml"), Engine(()), "till")
    assert engine.swarm_stack == "till"
    assert engine.variables["LOG_LEVEL"] == "debug"
    assert engine.variables["SHOP_IMAGE"] == FILLER
