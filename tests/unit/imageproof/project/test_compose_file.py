"""Facts of the compose file, as Compose reads it with its defaults."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import ConfigurationError
from imageproof.project.compose_file import Mount, PublishedPort, Service, read_compose_file
from tests.support.sample_facts import contract

# Output of `docker compose config --format json` (2.26) for every key that is read.
FULL = {
    "image": "till:1",
    "build": {"context": "/nowhere"},
    "user": "10001:10001",
    "cap_drop": ["ALL"],
    "cap_add": ["CHOWN"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
    "privileged": True,
    "mem_limit": "67108864",
    "cpus": 0.5,
    "pids_limit": 32,
    "oom_kill_disable": True,
    "network_mode": "host",
    "pid": "host",
    "ipc": "private",
    "cgroup_parent": "/",
    "tmpfs": ["/tmp:size=1m"],
    "devices": [{"source": "/dev/sda", "target": "/dev/xvda", "permissions": "rwm"}],
    "device_cgroup_rules": ["c 1:3 mr"],
    "ports": [
        {"mode": "ingress", "host_ip": "127.0.0.1", "target": 80, "published": "8000"},
        {"mode": "ingress", "target": 53, "protocol": "udp"},
    ],
    "volumes": [
        {
            "type": "bind",
            "source": "/srv",
            "target": "/srv",
            "read_only": True,
            "bind": {"propagation": "rshared"},
        },
        {"type": "volume", "source": "data", "target": "/data", "volume": {}},
    ],
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
}
FULL_SERVICE = Service(
    name="till",
    image="till:1",
    built=True,
    user="10001:10001",
    cap_drop=("ALL",),
    cap_add=("CHOWN",),
    security_opt=("no-new-privileges:true",),
    read_only=True,
    privileged=True,
    memory=64 << 20,
    cpus=0.5,
    pids=32,
    oom_kill_disable=True,
    namespaces={"network_mode": "host", "pid": "host", "ipc": "private"},
    cgroup_parent="/",
    mounts=(Mount("bind", "/srv", "/srv", True, "rshared"), Mount("volume", "data", "/data")),
    tmpfs=("/tmp:size=1m",),
    devices=("/dev/sda", "c 1:3 mr"),
    ports=(PublishedPort("127.0.0.1", 80, "8000"), PublishedPort("", 53)),
    log_driver="json-file",
    log_options={"max-size": "1m"},
)


@pytest.fixture
def read(monkeypatch):
    """Reader of a service from Compose's output: its keys, and other keys of the model."""

    def read_keys(keys: dict[str, Any], **model_keys: Any) -> Service:
        model = {"name": "x", "services": {"till": keys}, **model_keys}
        monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
        return read_compose_file(contract(), Engine(())).services["till"]

    return read_keys


def test_all_keys_are_read(read):
    assert read(FULL) == FULL_SERVICE


def test_missing_keys_give_defaults(read):
    assert read({"image": "till:1", "command": None}) == Service("till", "till:1")


def test_full_service_sets_every_field(read):
    full, empty = vars(read(FULL)), vars(read({}))
    assert [key for key in full if full[key] == empty[key]] == ["name"]


# --- limits


@pytest.mark.parametrize("value", [0, "0", -1, "-1", None])
@pytest.mark.parametrize(
    ("key", "field"), [("mem_limit", "memory"), ("cpus", "cpus"), ("pids_limit", "pids")]
)
def test_zero_and_minus_one_are_no_limit(read, key, field, value):
    assert getattr(read({**FULL, key: value}), field) is None


def test_deploy_limits_are_read(read):
    limits = {"memory": "1048576", "cpus": "0.25", "pids": 8}
    service = read({"deploy": {"resources": {"limits": limits}, "placement": {}}})
    assert (service.memory, service.cpus, service.pids) == (1 << 20, 0.25, 8)


@pytest.mark.parametrize("deploy", [{}, {"resources": {}}, {"resources": {"limits": None}}, None])
def test_deploy_without_limits_gives_none(read, deploy):
    service = read({"deploy": deploy})
    assert (service.memory, service.cpus, service.pids) == (None, None, None)


@pytest.mark.parametrize(
    ("keys", "cpus"),
    [
        ({"cpu_quota": 50_000}, 0.5),
        ({"cpu_quota": 50_000, "cpu_period": 50_000}, 1.0),
        ({"cpu_quota": -1}, None),
        ({"cpu_period": 50_000}, None),
    ],
)
def test_cpu_quota_is_a_cpu_limit(read, keys, cpus):
    assert read(keys).cpus == cpus


# --- host folders that are mounted by other means


def test_local_volume_of_a_host_folder_is_a_bind_mount(read):
    volumes = {
        "a": {"driver_opts": {"type": "none", "device": "/etc", "o": "bind"}},
        "b": {"driver_opts": {"type": "none", "device": "/etc", "o": "bind,ro"}},
        "c": {"driver_opts": {"type": "nfs", "device": ":/export", "o": "addr=nfs.invalid"}},
        "d": {"name": "x_d"},
    }
    mounts = [{"type": "volume", "source": name, "target": "/t"} for name in volumes]
    assert read({"volumes": mounts}, volumes=volumes).mounts == (
        Mount("bind", "/etc", "/t"),
        Mount("bind", "/etc", "/t", read_only=True),
        Mount("volume", "c", "/t"),
        Mount("volume", "d", "/t"),
    )


def test_secret_and_config_files_are_bind_mounts(read):
    service = read(
        {"secrets": [{"source": "a"}, "b", {"source": "c"}], "configs": [{"source": "d"}]},
        secrets={"a": {"file": "/x/a"}, "b": {"file": "/x/b"}, "c": {"environment": "C"}},
        configs={"d": {"file": "/x/d"}},
    )
    assert [(mount.source, mount.read_only) for mount in service.mounts] == [
        ("/x/a", True),
        ("/x/b", True),
        ("/x/d", True),
    ]


def test_use_api_socket_mounts_the_engine_socket(read):
    (mount,) = read({"use_api_socket": True}).mounts
    assert mount.source == "/var/run/docker.sock"


def test_device_may_be_a_string(read):
    assert read({"devices": ["/dev/sda:/dev/xvda:rwm"]}).devices == ("/dev/sda:/dev/xvda:rwm",)


def test_single_string_is_a_list_of_one(read):
    assert read({"tmpfs": "/tmp:exec"}).tmpfs == ("/tmp:exec",)


def test_provider_is_skipped(monkeypatch):
    model = {"services": {"cloud": {"provider": {"type": "x"}}, "till": {"image": "till:1"}}}
    monkeypatch.setattr(Engine, "compose_model", lambda *_, **__: model)
    assert list(read_compose_file(contract(), Engine(())).services) == ["till"]


# --- independence of .env and the environment

# Prints its arguments and environment as a compose model.
DOCKER = """\
#!/bin/sh
cat <<END
{"services": {"till": {"labels": ["$*"],
 "environment": ["$TILL_IMAGE", "$TILL_BIND", "$HOME", "$KEPT"],
 "image": "\\${TILL_IMAGE:?say which}", "ports": [], "x": "\\${TILL_BIND:-127.0.0.1} \\$HOME"}}}
END
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine whose docker program prints its input; .env and the environment set variables."""
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    (tmp_path / ".env").write_text("TILL_IMAGE=chosen:1\nTILL_BIND=0.0.0.0\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("TILL_BIND", "0.0.0.0")
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("TILL_IMAGE", raising=False)
    return Engine((tmp_path / "compose.yaml",))


def _compose_input(engine: Engine, *, defaults: bool) -> tuple[list[str], list[str]]:
    (service,) = engine.compose_model(interpolate=True, defaults=defaults)["services"].values()
    return service["labels"][0].split(), service["environment"]


def test_defaults_ignore_env_file_and_environment(engine):
    arguments, values = _compose_input(engine, defaults=True)
    assert "--env-file /dev/null" in " ".join(arguments)
    # TILL_IMAGE is required: from .env. TILL_BIND has a default: unset. HOME is for the docker
    # program and KEPT is not in the file: unchanged.
    assert values == ["chosen:1", "", "/home/me", "kept"]


def test_without_defaults_env_file_and_environment_are_used(engine):
    arguments, values = _compose_input(engine, defaults=False)
    assert "--env-file" not in arguments
    assert values == ["", "0.0.0.0", "/home/me", "kept"]


def test_defaults_include_all_profiles(engine):
    arguments, _ = _compose_input(engine, defaults=True)
    assert arguments[arguments.index("--profile") + 1] == "*"
    assert "--profile" not in _compose_input(engine, defaults=False)[0]


def test_override_files_are_ignored(engine, tmp_path):
    files = []
    with_override = Engine((tmp_path / "compose.yaml", tmp_path / "mine.yaml"))
    project = contract(root=tmp_path)

    def compose_model(self: Engine, **_: object) -> dict[str, Any]:
        files.append(self.compose_files)
        return {"services": {}}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "compose_model", compose_model)
        assert read_compose_file(project, with_override).services == {}
    assert files == [(tmp_path / "compose.yaml",)]


def test_file_that_compose_rejects_is_a_configuration_error(tmp_path, monkeypatch):
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'yaml: line 3: no' >&2; exit 15\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ConfigurationError):
        read_compose_file(contract(root=tmp_path), Engine(()))
