"""imageproof.swarm: what a deployment would change; how the file is filled in; what secrets are called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import ConfigurationError, UsageError
from imageproof.release import manifest
from imageproof.report import swarm as report
from imageproof.swarm import secrets
from imageproof.swarm.plan import Change, plan
from imageproof.swarm.stack_file import StackFile, fill
from imageproof.swarm.state import read
from tests.support.fake_swarm import NEW, OLD, Moment, ended, spec, task, told
from tests.support.sample_facts import SECRET, contract

DIGEST = f"sha256:{'1' * 64}"
# What `docker compose config --format json` makes of the service that `spec()` is.
SHOP: dict[str, Any] = {
    "image": OLD,
    "environment": {"LOG_LEVEL": "info"},
    "init": True,
    "read_only": True,
    "cap_drop": ["ALL"],
    "stop_grace_period": "10s",
    "secrets": {"api_token": "till_api_token_1"},
    "volumes": [
        {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": "1048576"}},
        {"type": "volume", "source": "data", "target": "/data"},
    ],
    "ports": [{"target": 8000, "published": "80", "mode": "host"}],
    "deploy": {
        "replicas": 1,
        "endpoint_mode": "dnsrr",
        "update_config": {"order": "start-first", "failure_action": "rollback"},
        "placement": {"constraints": ["node.labels.data == here"], "max_replicas_per_node": 1},
        "resources": {
            "limits": {"cpus": 1, "memory": "268435456", "pids": 64},
            "reservations": {"cpus": 0.1},
        },
    },
}


def _plan(there: dict[str, Any] | None = None, **services: dict[str, Any]):
    file = StackFile(contract().root, "till", {}, (), services)
    moment = Moment((task("t1"),), spec() if there is None else there)
    return plan(file, read(told(moment), "till"))


def test_the_same_is_unchanged():
    assert [(p.service, p.kind) for p in _plan(shop=SHOP)] == [("shop", "unchanged")]


@pytest.mark.parametrize(
    ("change", "setting", "after"),
    [
        ({"image": NEW}, "image", NEW),
        ({"environment": {"LOG_LEVEL": "debug"}}, "environment LOG_LEVEL", "debug"),
        ({"environment": {}}, "environment LOG_LEVEL", ""),
        ({"secrets": {"api_token": "till_api_token_2"}}, "secret api_token", "till_api_token_2"),
        ({"read_only": False}, "read_only", ""),
        ({"cap_drop": []}, "cap_drop", ""),
        ({"stop_grace_period": "1m0s"}, "stop_grace_period", "60 s"),
        ({"ports": [{"target": 8000, "published": "81", "mode": "host"}]}, "port 8000", "81 host"),
        ({"volumes": SHOP["volumes"][1:]}, "mount /tmp", ""),
    ],
)
def test_each_setting_that_differs_is_told(change, setting, after):
    (found,) = _plan(shop={**SHOP, **change})
    assert found.kind == "changed"
    assert [(c.setting, c.after) for c in found.changes] == [(setting, after)]


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [
        ("replicas", 3, Change("replicas", "1", "3")),
        ("endpoint_mode", "vip", Change("endpoint", "dnsrr", "vip")),
        ("placement", {}, None),
        ("update_config", {"order": "start-first"}, Change("on failure", "rollback", "pause")),
        (
            "resources",
            {
                "limits": {"cpus": 2, "memory": "268435456", "pids": 64},
                "reservations": {"cpus": 0.1},
            },
            Change("limits cpus", "1", "2"),
        ),
    ],
)
def test_each_setting_of_the_deployment_too(key, value, change):
    (found,) = _plan(shop={**SHOP, "deploy": {**SHOP["deploy"], key: value}})
    assert found.kind == "changed"
    if change:
        assert found.changes == (change,)


def test_services_come_and_go():
    assert [(p.service, p.kind) for p in _plan(till=SHOP)] == [("shop", "removed"), ("till", "new")]


def test_a_variable_that_looks_like_a_secret_is_told_without_its_value(capsys):
    plans = _plan(shop={**SHOP, "environment": {"LOG_LEVEL": "info", "API_TOKEN": SECRET}})
    report.print_plans(plans)
    said = capsys.readouterr().out
    assert "environment API_TOKEN: - → another value" in said
    assert SECRET not in said


# --- the status


def test_a_status_tells_what_runs_and_what_failed(capsys):
    tasks = (task("t1"), ended("t0", OLD, error="exit (1)"), ended("t2", OLD, state="shutdown"))
    services = read(told(Moment(tasks, spec(replicas=2))), "till")
    report.print_status(services)
    said = capsys.readouterr().out
    assert "1/2" in said
    assert "failed (history)" in said
    assert "exit (1)" in said
    assert "shutdown" not in said
    report.print_status(services, "json")
    assert '"settled": false' in capsys.readouterr().out
    with pytest.raises(UsageError):
        report.print_status(services, "xml")


# --- the file


def _release(**images: str) -> manifest.Release:
    judged = manifest.ContractResult(digest=DIGEST, passed=1)
    return manifest.Release(
        schema=1,
        created=datetime.now(tz=UTC),
        revision="",
        base=manifest.Base(reference="base.invalid/python:3.11", digest=DIGEST),
        images={
            name: manifest.ReleasedImage(
                reference=f"host.invalid/{name}:1", digest=digest, contract=judged
            )
            for name, digest in images.items()
        },
    )


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """What comes of a file, filled in; as Compose reads it, with variables for themselves."""
    written = {
        "services": {"shop": {"image": "${SHOP_IMAGE:?by its digest}", "secrets": []}},
        "secrets": {"api_token": {"external": True, "name": "${API_TOKEN_SECRET:?its name}"}},
    }
    written["services"]["shop"]["secrets"] = [{"source": "api_token"}]

    def compose_model(self, *, interpolate, **_):
        if not interpolate:
            return written
        image = self.variables.get("SHOP_IMAGE", written["services"]["shop"]["image"])
        named = {"api_token": {"name": self.variables.get("API_TOKEN_SECRET")}}
        services = {n: {**keys, "image": image} for n, keys in written["services"].items()}
        return {"services": services, "secrets": named}

    monkeypatch.setattr(Engine, "compose_model", compose_model)
    for name in ("API_TOKEN", "API_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)

    def fill_in(**images: str) -> StackFile:
        terms = contract(root=tmp_path, stack="stack.yaml")
        return fill(terms, Engine(()), _release(**images), "till")

    return fill_in


def test_an_image_is_that_of_the_release_by_its_digest(filled):
    file = filled(shop=DIGEST)
    assert file.services["shop"]["image"] == f"host.invalid/shop@{DIGEST}"
    assert file.variables["SHOP_IMAGE"] == f"host.invalid/shop@{DIGEST}"


def test_a_release_without_an_image_of_the_file_is_refused(filled):
    with pytest.raises(ConfigurationError, match="no image 'shop'"):
        filled(till=DIGEST)


def test_a_service_that_runs_a_tag_is_refused(filled, monkeypatch):
    monkeypatch.setattr(
        "imageproof.swarm.stack_file._images", lambda *_: {"SHOP_IMAGE": "host.invalid/x:1"}
    )
    with pytest.raises(ConfigurationError, match=r"shop runs host.invalid/x:1, which is no digest"):
        filled(shop=DIGEST)


def test_a_secret_is_the_environments_or_env_files_or_a_files(filled, tmp_path, monkeypatch):
    (unset,) = filled(shop=DIGEST).secrets
    assert unset.value == secrets.UNSET
    (tmp_path / "token").write_text(f"{SECRET}\n")
    monkeypatch.setenv("API_TOKEN_FILE", "token")
    file = filled(shop=DIGEST)
    assert [secret.value for secret in file.secrets] == [SECRET]
    assert file.services["shop"]["secrets"] == {"api_token": file.secrets[0].name}
    (tmp_path / ".env").write_text("API_TOKEN=of-the-env-file\n")
    assert filled(shop=DIGEST).secrets[0].value == "of-the-env-file"
    monkeypatch.setenv("API_TOKEN", "of-the-shell")
    assert filled(shop=DIGEST).secrets[0].value == "of-the-shell"
    assert "of-the-shell" not in repr(filled(shop=DIGEST))


def test_a_secret_file_that_is_not_there_is_said(filled, monkeypatch):
    monkeypatch.setenv("API_TOKEN_FILE", "nowhere")
    with pytest.raises(ConfigurationError, match="API_TOKEN_FILE"):
        filled(shop=DIGEST)


def test_a_project_without_a_file_for_a_swarm_has_no_deployment():
    with pytest.raises(UsageError, match="the contract names none"):
        fill(contract(), Engine(()), _release(shop=DIGEST), "till")


# --- the names of secrets


def test_a_name_follows_its_value_and_tells_nothing_of_it():
    one, same, other = (secrets.named("till", "api_token", v) for v in ("a", "a", "b"))
    assert one == same
    assert one.name != other.name
    assert secrets.named("other", "api_token", "a").name.split("_")[-1] != one.name.split("_")[-1]
    assert SECRET not in repr(secrets.named("till", "api_token", SECRET))


def test_a_long_name_fits_and_keeps_its_digest():
    names = {secrets.named("s" * 60, "api_token", value).name for value in "ab"}
    assert len(names) == 2
    assert {len(name) for name in names} == {secrets.LONGEST}
