"""The running stack, from this host and inside its containers."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from imageproof.contract import Contract
from imageproof.docker.client import Engine
from imageproof.stack import compose as stack
from imageproof.verify import run
from imageproof.verify.request import Request
from tests.support.commands import ROOT, SERVICES, clean_environment, docker, wait_until


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except (urllib.error.URLError, OSError) as error:
        return 0, str(error)


def compose(engine: Engine, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = [option for path in engine.compose_files for option in ("-f", str(path))]
    return subprocess.run(
        ["docker", "compose", "-p", str(engine.project), *files, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=120,
    )


def container_of(engine: Engine, service: str) -> str:
    return engine.containers([service])[0]["Id"]


@pytest.fixture(scope="module")
def url(docker_services, docker_ip) -> str:
    """Return the API's address, found by pytest-docker."""
    port = docker_services.port_for("api", 8000)
    address = f"http://{docker_ip}:{port}"
    docker_services.wait_until_responsive(
        check=lambda: get(f"{address}/health")[0] == 200, timeout=30, pause=0.2
    )
    return address


def test_health_answers_200_to_the_host(url):
    assert get(f"{url}/health") == (200, '{"status":"ok"}')


def test_ready_reports_the_store(url):
    status, body = get(f"{url}/ready")
    assert status == 200
    assert json.loads(body) == {"status": "ready", "dependencies": {"store": "ok"}}


def test_port_is_published_on_the_loopback_only(running):
    ports = running.containers(["api"])[0]["NetworkSettings"]["Ports"]
    assert {binding["HostIp"] for bindings in ports.values() for binding in bindings} == {
        "127.0.0.1"
    }


@pytest.mark.parametrize("service", [*SERVICES, "cache"])
def test_every_process_runs_as_the_unprivileged_user(service, running):
    processes = docker("top", container_of(running, service), "-o", "pid,uid,gid").splitlines()[1:]
    assert processes
    assert {tuple(line.split()[1:]) for line in processes} == {("10001", "10001")}


def test_verify_passes_for_images_and_running_stack(running: Engine, contract: Contract):
    verdict = run.verify(contract, running, Request(running=True))
    failed = [(r.check.id, r.subject, r.status, r.findings) for r in verdict.results if r.fails]
    assert not failed
    assert all(r.check.is_deep for r in verdict.results if r.status == "not run")


def test_verify_reports_a_service_that_is_not_running(running, contract):
    docker("rm", "--force", container_of(running, "worker"))
    try:
        verdict = run.verify(contract, running, Request(only="run.healthy"))
        statuses = {result.subject: result.status for result in verdict.results}
        assert statuses == {"api": "pass", "worker": "unknown", "cache": "pass"}
        assert not verdict.passes
    finally:
        stack.up(contract, running)


def test_worker_logs_its_start(running):
    lines = [json.loads(line) for line in running.logs("worker", 50) if line.startswith("{")]
    started = [line for line in lines if line["message"] == "worker started"]
    assert started
    assert started[0]["node"].startswith("v")


def test_api_has_no_node_and_no_shell(running):
    for program in ("node", "sh"):
        result = subprocess.run(
            ["docker", "exec", container_of(running, "api"), program, "--version"],
            capture_output=True,
            text=True,
        )
        assert result.returncode in (126, 127)
        assert "executable file not found" in result.stdout + result.stderr


def test_worker_diffs_two_tarballs_in_its_container(running):
    result = json.loads(
        docker("exec", container_of(running, "worker"), "python", "-m", "worker", "--self-test")
    )
    assert result["self_test"] == "ok"
    assert result["files"]


@pytest.mark.parametrize("service", SERVICES)
def test_root_is_read_only_and_tmp_is_writable(service, running):
    write = (
        "import errno\n"
        "for path in ('/app/x', '/opt/venv/x', '/etc/x'):\n"
        "    try: open(path, 'w')\n"
        "    except OSError as e: assert e.errno in (errno.EROFS, errno.EACCES), e\n"
        "    else: raise SystemExit(path + ' was written')\n"
        "open('/tmp/x', 'w').write('x'); print('ok')"
    )
    assert docker("exec", container_of(running, service), "python", "-c", write) == "ok"


READ = "from app.config import load, WorkerSettings; print(load(WorkerSettings).policy_threshold)"


def test_threshold_has_its_default_inside_a_container(running):
    result = compose(running, "run", "--rm", "-T", "worker", "python", "-c", READ)
    assert result.stdout.strip() == "0.75", result.stderr


def test_compose_run_overrides_a_variable(running):
    result = compose(
        running, "run", "--rm", "-T", "-e", "POLICY_THRESHOLD=0.5", "worker", "python", "-c", READ
    )
    assert result.stdout.strip() == "0.5", result.stderr


def test_value_is_read_from_a_secret_file(built, tmp_path):
    secret = tmp_path / "policy_threshold"
    secret.write_text("0.25\n")
    tmp_path.chmod(0o755)
    result = docker(
        "run", "--rm", "--network=none", "-v", f"{secret}:/run/secrets/policy_threshold:ro",
        built.references["worker"], "python", "-c", READ,
    )  # fmt: skip
    assert result == "0.25"


@pytest.mark.parametrize(
    ("service", "variable", "value"),
    [("api", "API_RATE_LIMIT", "much"), ("worker", "WORKER_POLL_INTERVAL", "0")],
)
def test_invalid_value_stops_the_start_with_one_line(service, variable, value, running):
    result = compose(running, "run", "--rm", "-T", "-e", f"{variable}={value}", service)
    lines = [line for line in result.stderr.splitlines() if line.startswith("configuration:")]
    assert result.returncode == 2
    assert len(lines) == 1
    assert variable in lines[0]
    assert "Traceback" not in result.stderr


@pytest.fixture
def single(built) -> Iterator[dict[str, str]]:
    """Start a single container of each image, without a network; remove them at the end."""
    containers: dict[str, str] = {}
    options = ["--read-only", "--tmpfs", "/tmp", "--cap-drop=ALL", "--network=none"]
    quick = ["--health-interval=500ms", "--health-timeout=3s", "--health-retries=2"]
    try:
        for service in SERVICES:
            containers[service] = docker(
                "run", "-d", "--init", "-e", "WORKER_POLL_INTERVAL=0.2", *options, *quick,
                "--health-start-period=0s", built.references[service],
            )  # fmt: skip
        yield containers
    finally:
        for container in containers.values():
            subprocess.run(["docker", "rm", "-f", container], capture_output=True)


def health(container: str) -> str:
    return docker("inspect", "-f", "{{.State.Health.Status}}", container)


SIGNAL_ALL = (
    "import contextlib, os, sys\n"
    "for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
    # A health probe may have ended meanwhile, or may not yet run as the container's user.
    "    with contextlib.suppress(ProcessLookupError, PermissionError):\n"
    "        if pid not in (1, os.getpid()): os.kill(pid, int(sys.argv[1]))"
)


@pytest.mark.parametrize("service", SERVICES)
def test_frozen_service_becomes_unhealthy_and_recovers(service, single):
    container = single[service]
    wait_until(lambda: health(container) == "healthy", 60, f"{service} never became healthy")
    docker("exec", container, "python", "-c", SIGNAL_ALL, "19")  # SIGSTOP
    wait_until(
        lambda: health(container) == "unhealthy", 60, f"{service} stayed healthy while frozen"
    )
    docker("exec", container, "python", "-c", SIGNAL_ALL, "18")  # SIGCONT
    wait_until(lambda: health(container) == "healthy", 60, f"{service} did not recover")


@pytest.mark.parametrize("service", SERVICES)
def test_stopped_service_exits_by_itself(service, single):
    container = single[service]
    wait_until(lambda: health(container) == "healthy", 60, f"{service} never became healthy")
    docker("stop", "--time", "10", container)
    # 137 would mean SIGKILL after the whole timeout.
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container) in ("0", "143")


def test_plain_compose_up_builds_missing_images_and_becomes_healthy(base_image, tmp_path, engine):
    """Without imageproof, Compose builds from the base image that PYTHON_BASE names."""
    name = f"{engine.project}-plain"
    names = {service: f"{name}/{service}:local" for service in (*SERVICES, "cache")}
    override = tmp_path / "names.yaml"
    override.write_text(json.dumps({"services": {s: {"image": tag} for s, tag in names.items()}}))
    files = ["-f", "compose.yaml", "-f", "compose/tests.yaml", "-f", str(override)]
    command = ["docker", "compose", "-p", name, *files]
    environment = clean_environment(PYTHON_BASE=base_image)
    try:
        result = subprocess.run(
            [*command, "up", "-d", "--wait"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr[-2000:]
        states = subprocess.run(
            [*command, "ps", "--format", "{{.Health}}"],
            cwd=ROOT, env=environment, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        assert states == ["healthy"] * 3
    finally:
        subprocess.run(
            [*command, "down", "--volumes", "--rmi", "all"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
        )
