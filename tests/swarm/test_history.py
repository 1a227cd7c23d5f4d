"""Tests of the release history on a real swarm: rollback, interrupted commands, dry runs.

The stack is small: its image has a health check that the variable HEALTH decides.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Outcome, Project, start_command, wait_until
from tests.swarm import cluster

pytestmark = pytest.mark.timeout(240)
NAME = "small"
IMAGE = f"{cluster.REGISTRY}/{NAME}/web:1"
PROGRAM = "import os, time; print('started', os.environ['VERSION'], flush=True); time.sleep(1e6)"
DOCKERFILE = f"""FROM BASE
CMD ["python3.11", "-c", "{PROGRAM}"]
HEALTHCHECK --interval=1s --timeout=5s --retries=2 --start-period=1s \\
    CMD ["python3.11", "-c", "import os; raise SystemExit(os.environ['HEALTH'] or 0)"]
"""
CONTRACT = """
[tool.imageproof]
stack = "stack.yaml"
[tool.imageproof.images.web]
service = "web"
size = "400MB"
user = "10001:10001"
command = ["python3.11"]
health = { notices_within = 60, ready_within = 20 }
"""
COMPOSE = f"name: {NAME}\nservices: {{ web: {{ image: {NAME}/web, build: . }} }}\n"
SERVICE = """
  SERVICE:
    image: ${WEB_IMAGE:-SAME}
    init: true
    environment: { VERSION: "${VERSION:-1}", HEALTH: "${HEALTH:-}" }
    stop_grace_period: 1s
    secrets: [token]
    deploy:
      endpoint_mode: dnsrr
      update_config: { order: start-first, monitor: 1s, failure_action: "${ON_FAILURE:-rollback}" }
      restart_policy: { delay: 1s }
"""
MANY_SETTINGS = """
  added:
    image: SAME
    command: [python3.11, -c, "import time; time.sleep(1e6)"]
    healthcheck: { test: [CMD, python3.11, -c, pass], interval: 1s, timeout: 1m0s, retries: 2 }
    environment: { PRICE: "5$$", EMPTY: "", VERSION: "3" }
    user: "10001"
    hostname: till
    working_dir: /tmp
    stop_signal: SIGINT
    tty: true
    cap_add: [CHOWN]
    labels: { com.example.a: b }
    extra_hosts: ["other:192.0.2.9"]
    dns: [192.0.2.8]
    sysctls: { net.core.somaxconn: 64 }
    ulimits: { nofile: { soft: 512, hard: 1024 }, nproc: 64 }
    networks: { inside: { aliases: [till] }, default: {} }
    configs: [{ source: settings, target: /settings, mode: 0400 }]
    secrets: [{ source: token, target: other, uid: "10001" }]
    logging: { driver: json-file, options: { max-size: 1m } }
    ports:
      - { target: 8000, published: 8100, mode: host }
      - { target: 53, published: 8100, mode: host, protocol: udp }
    volumes: [data:/data, { type: tmpfs, target: /tmp, tmpfs: { size: 1048576 } }]
    deploy:
      labels: { team: till }
      endpoint_mode: dnsrr
      update_config: { parallelism: 0, delay: 1s, monitor: 1s, max_failure_ratio: 0.3 }
      rollback_config: { order: start-first }
      placement: { constraints: ["node.role == manager"], preferences: [{ spread: node.id }] }
      resources: { limits: { memory: 64M, cpus: "0.5", pids: 32 }, reservations: { cpus: "0.1" } }
networks: { inside: {}, default: {} }
volumes: { data: {} }
configs: { settings: { file: pyproject.toml } }
"""
SECRETS = 'secrets: { token: { external: true, name: "${TOKEN_SECRET:?}" } }\n'
BROKEN = {"HEALTH": "not today", "VERSION": "3"}


@dataclass
class SmallStack:
    """A small project and its stack."""

    project: Project
    manager: cluster.Node
    digest: str

    @property
    def root(self) -> Path:
        return self.project.root

    def write(self, *services: str, more: str = "") -> None:
        """Write a stack file with these services, and with more text."""
        pinned = f"{IMAGE.rpartition(':')[0]}@{self.digest}"
        texts = [SERVICE.replace("SERVICE", name).replace("SAME", pinned) for name in services]
        (self.root / "stack.yaml").write_text(
            f"services:{''.join(texts)}{more.replace('SAME', pinned)}{SECRETS}"
        )

    def variables(self, variables: dict[str, str]) -> dict[str, str]:
        return {"TOKEN": "0123456789abcdef", "DOCKER_HOST": self.manager.host, **variables}

    def inv(self, *arguments: str, **variables: str) -> Outcome:
        return self.project.inv(*arguments, **self.variables(variables))

    def deploy(self, version: str, *options: str, **variables: str) -> Outcome:
        """Deploy with this value of VERSION; the release file is relative to the folder."""
        arguments = ("deploy", "--release", "release.json", *options)
        return self.inv(*arguments, **{"VERSION": version, **variables})

    def versions(self) -> dict[str, str]:
        """Return the value of VERSION of each service of the swarm, all of whose tasks run."""
        outcome = self.inv("status", "--format", "json")
        assert outcome.status == 0, outcome.messages
        assert all(service["settled"] for service in json.loads(outcome.output)), outcome.output
        return {name.removeprefix(f"{NAME}_"): _version(s) for name, s in self.specs().items()}

    def specs(self) -> dict[str, Any]:
        ids = self.manager.docker("service", "ls", "-q").split()
        # Not Node.docker: a service may be removed between the two commands.
        command = ["docker", "--host", self.manager.host, "service", "inspect", *ids]
        output = subprocess.run(command, capture_output=True).stdout if ids else b"[]"
        services = json.loads(output)
        return {service["Spec"]["Name"]: service["Spec"] for service in services}

    def everything(self) -> dict[str, Any]:
        """Return all that a command could change: objects with their versions, and files."""
        kinds = ("service", "config", "secret", "network")
        found: dict[str, Any] = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }
        for kind in kinds:
            ids = self.manager.docker(kind, "ls", "-q").split()
            objects = json.loads(self.manager.docker(kind, "inspect", *ids)) if ids else []
            found[kind] = [(item.get("ID") or item["Id"], item.get("Version")) for item in objects]
        return found


def _version(spec: dict[str, Any]) -> str:
    environment = spec["TaskTemplate"]["ContainerSpec"]["Env"]
    return str(dict(entry.split("=", 1) for entry in environment)["VERSION"])


@pytest.fixture(scope="module")
def digest(swarm, probe_image) -> str:
    manager = swarm.manager
    manager.load(probe_image)
    dockerfile = DOCKERFILE.replace("BASE", probe_image).encode()
    manager.docker("build", "-q", "-t", IMAGE, "-", stdin=dockerfile)
    manager.docker("push", "-q", IMAGE)
    (image,) = json.loads(manager.docker("image", "inspect", IMAGE))
    return str(image["RepoDigests"][0].partition("@")[2])


@pytest.fixture
def small(swarm, digest, tmp_path) -> Iterator[SmallStack]:
    root = tmp_path / NAME
    root.mkdir()
    (root / "pyproject.toml").write_text(CONTRACT)
    (root / "compose.yaml").write_text(COMPOSE)
    contract = {"digest": f"sha256:{0:064x}", "pass": 1}
    images = {"web": {"reference": IMAGE, "digest": digest, "contract": contract}}
    release = {"schema": 1, "created": "2026-01-01T00:00:00Z", "revision": "c0ffee"}
    (root / "release.json").write_text(json.dumps({**release, "images": images}))
    stack = SmallStack(Project(root, NAME, ""), swarm.manager, digest)
    stack.write("web", "extra")
    yield stack
    stack.manager.docker("stack", "rm", NAME)
    kinds = ("service", "config", "secret", "network")
    wait_until(
        lambda: (
            not any(
                stack.manager.docker(kind, "ls", "-q", "--filter", f"name={NAME}") for kind in kinds
            )
        ),
        60,
        "the stack is not removed",
    )


def test_rollback_goes_to_releases_that_ran_with_their_services(small):
    assert small.deploy("1").status == 0
    assert small.deploy("2").status == 0
    small.write("web", "added")  # `extra` is pruned
    broken = small.deploy("3", HEALTH="not today")
    assert broken.status == 1
    assert "Swarm rolled back web" in broken.messages
    assert "│ log: started 3" in broken.messages
    assert small.versions() == {"web": "2", "extra": "2"}

    first = small.inv("rollback")
    assert first.status == 0, first.messages
    assert small.versions() == {"web": "1", "extra": "1"}
    assert "release 3 (a copy of 1)" in small.inv("status").output
    second = small.inv("rollback")
    assert second.status == 2
    assert "no earlier one is recorded" in second.messages

    assert small.deploy("4").status == 0
    assert small.versions() == {"web": "4", "added": "4"}
    back = small.inv("rollback")
    assert back.status == 0, back.messages
    assert small.versions() == {"web": "1", "extra": "1"}
    chosen = small.inv("rollback", "--to", "2")
    assert chosen.status == 0, chosen.messages
    assert small.versions() == {"web": "2", "extra": "2"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_deployment_leaves_a_state_to_go_on_from(small, number):
    assert small.deploy("1").status == 0
    small.write("web", "added")
    variables = small.variables({**BROKEN, "ON_FAILURE": "pause"})
    command = ("deploy", "--release", "release.json")
    with start_command(small.project, *command, quiet=True, **variables) as process:
        wait_until(lambda: "small_added" in small.specs(), 30, "nothing was deployed")
        process.send_signal(number)
        process.wait(30)
    assert "no recorded release" in small.inv("status").output
    if number == signal.SIGINT:
        outcome = small.inv("rollback")
        assert outcome.status == 0, outcome.messages
        assert small.versions() == {"web": "1", "extra": "1"}
    else:
        # A failed deployment goes back to the release that ran, not to the interrupted one.
        assert small.deploy("5", HEALTH="not today").status == 1
        assert small.versions() == {"web": "1", "extra": "1"}
        assert small.deploy("6").status == 0
        assert small.versions() == {"web": "6", "added": "6"}


def test_dry_runs_change_nothing_and_print_what_happens(small):
    planned = small.deploy("1", "--dry-run")
    assert planned.status == 0, planned.messages
    assert "network small_default: new" in planned.output
    assert "secret small_token_" in planned.output
    assert small.specs() == {}
    assert small.deploy("1").status == 0
    assert small.deploy("2").status == 0

    small.write("web", more=MANY_SETTINGS)
    before = small.everything()
    planned = small.deploy("3", "--plan", TOKEN="fedcba9876543210")
    repeated = small.deploy("3", "--dry-run", TOKEN="fedcba9876543210")
    back = small.inv("rollback", "--dry-run")
    assert small.everything() == before
    assert planned.output == repeated.output
    lines = planned.output.splitlines()
    assert [line.split() for line in lines if not line.startswith(" ")][:3] == [
        ["added", "new"],
        ["extra", "removed"],
        ["web", "changed"],
    ]
    assert "config small_settings: new" in lines
    assert "network small_inside: new" in lines
    changes = [line.strip() for line in lines[lines.index("web         changed") + 1 :]]
    assert changes[0] == "environment VERSION: 2 → 3"
    assert changes[1].startswith("secret token: small_token_")
    assert "release 3: recorded if all tasks become healthy" in lines
    assert "fedcba9876543210" not in planned.output
    assert "environment VERSION: 2 → 1" in back.output

    assert small.deploy("3", TOKEN="fedcba9876543210").status == 0
    assert small.versions() == {"web": "3", "added": "3"}
    unchanged = small.deploy("3", "--dry-run", TOKEN="fedcba9876543210").output.split()
    assert unchanged == ["added", "unchanged", "web", "unchanged"]
