"""Tests of the facts about updates in the Swarm file, and of their lines."""

from __future__ import annotations

import pytest

from imageproof.docker.client import Engine
from imageproof.project.update_settings import find_line, read_update_settings
from tests.support.sample_facts import contract

FILE = """x-first: 1
x-update: &update
  order: start-first
  monitor: ${MONITOR:-1m30s}
x-service: &service
  stop_grace_period: 5s
  deploy: &deploy
    update_config: *update
services:
  first:
    image: first@sha256:0
    labels:
      web: x
  web: # monitor: not here
    <<: *service
    image: web@sha256:0
    labels: { job: x }
    healthcheck: { interval: 2s }
  job:
    image: job@sha256:0
    deploy:
      <<: *deploy
      update_config: { <<: *update, monitor: 7s, failure_action: rollback }
      rollback_config:
        parallelism: 1

        monitor: 8s
  bare: { image: bare@sha256:0 }
"""


def _line(text: str) -> int:
    """Return the number of the only line that contains a text."""
    (number,) = [n for n, line in enumerate(FILE.splitlines(), start=1) if text in line]
    return number


@pytest.mark.parametrize(
    ("service", "key", "text"),
    [
        ("web", "update_config", "${MONITOR"),
        ("web", "rollback_config", "  web: #"),  # there is none: the service
        ("job", "update_config", "monitor: 7s"),
        ("job", "rollback_config", "monitor: 8s"),
        ("bare", "update_config", "  bare:"),
        ("absent", "update_config", "x-first"),
    ],
)
def test_line_of_a_setting_follows_aliases(service, key, text):
    assert find_line(FILE.splitlines(), service, key, "monitor") == _line(text)


def test_line_of_an_alias_that_names_itself_is_the_service():
    lines = ["services:", "  web: &web", "    deploy: *web"]
    assert find_line(lines, "web", "update_config", "monitor") == 2


def test_settings_are_read_with_swarms_defaults(tmp_path):
    (tmp_path / "stack.yaml").write_text(FILE)
    facts = read_update_settings(contract(root=tmp_path, stack="stack.yaml"), Engine(()))
    web, job, bare = (facts.services[name] for name in ("web", "job", "bare"))
    assert (web.update.monitor, web.update.failure_action, web.grace_period) == (90, "pause", 5)
    assert web.healthcheck == {"interval": "2s"}
    assert web.check_times(None) is None
    assert (job.update.monitor, job.rollback.monitor) == (7, 8)
    assert (bare.update.monitor, bare.update.monitor_is_set, bare.grace_period) == (5, False, 10)


def test_project_without_a_swarm_file_has_no_facts():
    assert read_update_settings(contract(), Engine(())) is None
