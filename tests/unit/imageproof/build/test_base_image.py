"""Tests of the base image's digest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.build import base_image
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
