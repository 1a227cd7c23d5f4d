"""imageproof.build.base_image: which base a build stands on, and under which digest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.build import base_image
from tests.support.sample_facts import contract

ID, OURS, THEIRS = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.mark.parametrize(
    ("reference", "listed", "digest"),
    [
        ("python:3.11-slim", [f"python@{OURS}"], OURS),
        ("docker.io/library/python:3.11-slim", [f"python@{OURS}"], OURS),
        ("docker.io/shop/python:1", [f"shop/python@{OURS}"], OURS),
        ("registry.test:5000/python:1", [f"registry.test:5000/python@{OURS}"], OURS),
        ("registry.test:5000/python", [f"registry.test:5000/python@{OURS}"], OURS),
        (f"registry.test/python@{OURS}", [f"registry.test/python@{OURS}"], OURS),
        # The same image pushed elsewhere is no other base: what stands on it is not built again.
        ("python:3.11-slim", [f"mirror.test/python@{THEIRS}", f"python@{OURS}"], OURS),
        ("made/here:1", [f"mirror.test/python@{THEIRS}"], ID),
        ("made/here:1", [], ID),
        ("made/here:1", None, ID),
    ],
)
def test_a_base_has_the_digest_of_its_own_repository(monkeypatch, reference, listed, digest):
    monkeypatch.setenv("PYTHON_BASE", reference)
    images = {reference: {"Id": ID, "RepoDigests": listed}}
    engine: Any = SimpleNamespace(images=lambda asked: {r: images[r] for r in asked})
    found = base_image.find_local(contract(), engine)
    assert found is not None
    assert (found.reference, found.digest, found.origin) == (reference, digest, "named")
