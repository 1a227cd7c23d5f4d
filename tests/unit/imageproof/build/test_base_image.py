"""Tests of the base image: its digest, its recipe, and how it is refreshed."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.build import base_image
from imageproof.errors import StackFailed
from tests.support.sample_facts import contract

ID, OWN, OTHER = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.mark.parametrize(
    ("reference", "repo_digests", "digest"),
    [
        ("python:3.11-slim", [f"python@{OWN}"], OWN),
        ("docker.io/library/python:3.11-slim", [f"python@{OWN}"], OWN),
        ("docker.io/shop/python:1", [f"shop/python@{OWN}"], OWN),
        ("registry.test:5000/python:1", [f"registry.test:5000/python@{OWN}"], OWN),
        ("registry.test:5000/python", [f"registry.test:5000/python@{OWN}"], OWN),
        (f"registry.test/python@{OWN}", [f"registry.test/python@{OWN}"], OWN),
        # Pushing the image to another registry does not change its digest.
        ("python:3.11-slim", [f"mirror.test/python@{OTHER}", f"python@{OWN}"], OWN),
        ("made/here:1", [f"mirror.test/python@{OTHER}"], ID),
        ("made/here:1", [], ID),
        ("made/here:1", None, ID),
    ],
)
def test_digest_is_that_of_the_own_repository_or_the_id(
    monkeypatch, reference, repo_digests, digest
):
    monkeypatch.setenv("PYTHON_BASE", reference)
    images = {reference: {"Id": ID, "RepoDigests": repo_digests}}
    engine: Any = SimpleNamespace(images=lambda references: {r: images[r] for r in references})
    base = base_image.find_local(contract(), engine)
    assert base is not None
    assert (base.reference, base.digest, base.origin) == (reference, digest, "named")


class _Engine:
    """An engine with images of these labels, that can pull the default base image or not."""

    def __init__(self, *, can_pull: bool = True, **labels: dict[str, str] | None) -> None:
        self.labels = labels
        self.can_pull = can_pull
        self.pulled: list[str] = []
        self.whales = SimpleNamespace(image=SimpleNamespace(pull=self._pull))

    def _pull(self, reference: str, *, quiet: bool) -> None:
        if not self.can_pull:
            raise StackFailed("pulling", "no such host")
        self.pulled.append(reference)

    def image(self, reference: str) -> dict[str, Any]:
        return {"Id": ID, "Config": {"Labels": None}, "Created": "2026-11-01T10:00:00.123456789Z"}

    def images(self, references: list[str]) -> dict[str, Any]:
        if (project := contract()).base.local_tag not in references:
            return {}
        return {project.base.local_tag: {**self.image(""), "Config": {"Labels": self.labels}}}


def _recipe(**base: object) -> str:
    return base_image._recipe(contract(base=base))


@pytest.fixture(autouse=True)
def _no_named_base(monkeypatch):
    monkeypatch.delenv("PYTHON_BASE", raising=False)


def test_made_base_counts_only_if_its_recipe_is_the_present_one():
    engine: Any = _Engine()
    assert base_image.find_local(contract(), engine) is None  # made before recipes were recorded
    engine.labels = {base_image.RECIPE_LABEL: _recipe()}
    found = base_image.find_local(contract(), engine)
    assert found is not None
    assert (found.origin, found.created) == (
        "made",
        datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC),
    )
    engine.labels = {base_image.RECIPE_LABEL: _recipe(packages=["python3.11", "ca-certificates"])}
    assert base_image.find_local(contract(), engine) is None


def test_recipe_changes_with_suite_and_packages_but_not_with_their_order():
    packages = ["python3.11", "ca-certificates"]
    assert len({_recipe(), _recipe(packages=packages), _recipe(suite="trixie")}) == 3
    assert _recipe(packages=packages) == _recipe(packages=packages[::-1])


def test_refresh_pulls_although_the_engine_has_the_image(monkeypatch):
    engine: Any = _Engine()
    assert base_image.refresh(contract(), engine).origin == "pulled"
    monkeypatch.setenv("PYTHON_BASE", "base.test/python:1")
    assert base_image.refresh(contract(), engine).origin == "named"
    assert engine.pulled == [contract().base.image, "base.test/python:1"]


@pytest.mark.parametrize("named", [False, True])
def test_refresh_makes_a_base_again_that_no_registry_has(monkeypatch, named):
    again = base_image.BaseImage("made/again:1", ID, "made")
    monkeypatch.setattr(base_image, "make", lambda *_: again)
    if named:
        monkeypatch.setenv("PYTHON_BASE", contract().base.local_tag)
    engine: Any = _Engine(can_pull=named)
    assert base_image.refresh(contract(), engine) == again


def test_refresh_of_a_named_base_fails_if_it_cannot_be_pulled(monkeypatch):
    monkeypatch.setenv("PYTHON_BASE", "base.test/python:1")
    engine: Any = _Engine(can_pull=False)
    with pytest.raises(StackFailed):
        base_image.refresh(contract(), engine)


@pytest.mark.parametrize("created", [None, "", "yesterday", "0001-01-01T00:00:00Z", "1980-01-01"])
def test_image_without_a_date_has_no_age(created):
    assert base_image._created({"Created": created}) is None
