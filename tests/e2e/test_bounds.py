"""Tests of hostile files on the real programs."""

from __future__ import annotations

import pytest

from imageproof.docker import compose_command
from imageproof.docker.client import Engine
from imageproof.errors import ConfigurationError

BOMB = ["name: bomb", "x-a: &a [x, x, x, x, x, x, x, x, x]"]
BOMB += [
    f"x-{name}: &{name} [{', '.join([f'*{alias}'] * 9)}]"
    for alias, name in zip("abcdefg", "bcdefgh", strict=True)
]
BOMB += ["services: {web: {image: busybox}}"]


def test_compose_file_whose_aliases_multiply_is_refused_with_its_lines(tmp_path, monkeypatch):
    """Compose takes 40 s and gigabytes for nine levels of nine."""
    monkeypatch.setattr(compose_command, "MAX_SECONDS", 5)  # sooner than the default
    (tmp_path / "compose.yaml").write_text("\n".join(BOMB))
    with pytest.raises(ConfigurationError) as caught:
        Engine((tmp_path / "compose.yaml",)).compose_model(interpolate=True)
    assert "compose.yaml:3: 9 aliases" in caught.value.tail[0]
    assert caught.value.cause in (
        "Compose did not end within 5 s",
        "Compose needs more than 512 MiB",
    )


@pytest.mark.parametrize(
    ("reference", "hint"),
    [("registry.invalid/a:1", "DNS"), ("127.0.0.1:1/a:1", "whether the registry runs")],
)
def test_build_from_an_unreachable_registry_is_an_error_of_the_machine(project, reference, hint):
    (project.root / "Dockerfile").write_text(f"FROM {reference} AS runtime\n")
    outcome = project.inv("build")
    assert outcome.status == 3, outcome.messages
    assert hint in outcome.messages
