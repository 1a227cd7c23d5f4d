"""Tests of filling in the stack file with a release and secrets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import ConfigurationError, UsageError
from imageproof.release import manifest
from imageproof.swarm import secrets
from imageproof.swarm.stack_file import StackFile, fill
from tests.support.sample_facts import SECRET, contract

DIGEST = f"sha256:{'1' * 64}"


def _release(**images: str) -> manifest.Release:
    result = manifest.ContractResult(digest=DIGEST, passed=1)
    return manifest.Release(
        schema=1,
        created=datetime.now(tz=UTC),
        revision="",
        base=manifest.Base(reference="base.invalid/python:3.11", digest=DIGEST),
        images={
            name: manifest.ReleasedImage(
                reference=f"host.invalid/{name}:1", digest=digest, contract=result
            )
            for name, digest in images.items()
        },
    )


@pytest.fixture
def template():
    """Return the stack file before variables are filled in."""
    return {
        "services": {
            "shop": {
                "image": "${SHOP_IMAGE:?by its digest}",
                "secrets": [{"source": "api_token"}],
            }
        },
        "secrets": {"api_token": {"external": True, "name": "${API_TOKEN_SECRET:?its name}"}},
    }


@pytest.fixture
def filled(tmp_path, monkeypatch, template):
    """Fill in the stack file with a release of these images."""

    def compose_model(self, *, interpolate, **_):
        if not interpolate:
            return template
        image = template["services"]["shop"]["image"]
        if image.startswith("$"):
            image = self.variables.get("SHOP_IMAGE", "")
        services = {n: {**keys, "image": image} for n, keys in template["services"].items()}
        secret = {"name": self.variables.get("API_TOKEN_SECRET")}
        return {"services": services, "secrets": {"api_token": secret}}

    monkeypatch.setattr(Engine, "compose_model", compose_model)
    for name in ("API_TOKEN", "API_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)

    def fill_in(**images: str) -> StackFile:
        project = contract(root=tmp_path, stack="stack.yaml")
        return fill(project, Engine(()), _release(**images), "till")

    return fill_in


def test_image_is_filled_in_with_the_releases_digest(filled):
    file = filled(shop=DIGEST)
    assert file.variables["SHOP_IMAGE"] == f"host.invalid/shop@{DIGEST}"


def test_release_without_an_image_of_the_file_is_refused(filled):
    with pytest.raises(ConfigurationError, match="no image 'shop'"):
        filled(till=DIGEST)


def test_service_without_a_digest_is_refused(filled, template):
    template["services"]["shop"]["image"] = "host.invalid/x:1"
    with pytest.raises(ConfigurationError, match=r"shop has the image .*, without a digest"):
        filled(shop=DIGEST)


def test_secret_comes_from_the_environment_then_env_file_then_secret_file(
    filled, tmp_path, monkeypatch
):
    (unset,) = filled(shop=DIGEST).secrets
    assert unset.value == secrets.UNSET
    (tmp_path / "token").write_text(f"{SECRET}\n")
    monkeypatch.setenv("API_TOKEN_FILE", "token")
    file = filled(shop=DIGEST)
    assert [secret.value for secret in file.secrets] == [SECRET]
    assert file.variables["API_TOKEN_SECRET"] == file.secrets[0].name
    (tmp_path / ".env").write_text("API_TOKEN=of-the-env-file\n")
    assert filled(shop=DIGEST).secrets[0].value == "of-the-env-file"
    monkeypatch.setenv("API_TOKEN", "of-the-shell")
    assert filled(shop=DIGEST).secrets[0].value == "of-the-shell"
    assert "of-the-shell" not in repr(filled(shop=DIGEST))


def test_missing_secret_file_is_an_error(filled, monkeypatch):
    monkeypatch.setenv("API_TOKEN_FILE", "nowhere")
    with pytest.raises(ConfigurationError, match="API_TOKEN_FILE"):
        filled(shop=DIGEST)


def test_contract_without_a_stack_file_is_a_usage_error():
    with pytest.raises(UsageError, match="the contract names no stack file"):
        fill(contract(), Engine(()), _release(shop=DIGEST), "till")
