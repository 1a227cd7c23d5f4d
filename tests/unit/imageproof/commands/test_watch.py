"""The watch command: the overlay that the contract names."""

from __future__ import annotations

import pytest

from imageproof.commands.watch import watch
from imageproof.docker.client import Engine
from imageproof.errors import UsageError
from tests.support.sample_facts import contract


def test_missing_overlay_is_a_usage_error_that_names_it(tmp_path):
    project = contract(root=tmp_path, watch="development.yaml")
    with pytest.raises(UsageError, match=r"there is no development\.yaml"):
        watch(project, Engine(()), take_over=False)
