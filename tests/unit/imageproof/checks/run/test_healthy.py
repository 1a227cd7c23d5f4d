"""Tests of run.healthy: an old restart is a warning, a recent one a violation."""

from __future__ import annotations

import pytest

from imageproof.checks.run.healthy import healthy
from tests.support.sample_facts import container, service_contract


@pytest.mark.parametrize(("uptime", "is_warning"), [(0, False), (59, False), (60, True)])
def test_restart_is_forgiven_after_the_time_to_become_ready(uptime, is_warning):
    terms = service_contract(health={"notices_within": 45, "ready_within": 60})
    (finding,) = healthy(terms, [container(restarts=3, uptime=uptime)])
    assert finding.warning is is_warning
    assert "restarted 3 times" in finding.message
