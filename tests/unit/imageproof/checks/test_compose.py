"""imageproof.checks.compose.hardening: one check a fault, and one finding; each says where and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from imageproof.checks import REGISTRY, Finding
from imageproof.checks.compose.host_paths import gives_away, holds_socket
from tests.support.sample_facts import contract
from tests.unit.imageproof.checks.examples.compose import FAULTS

CASES = [
    pytest.param(facts, id=f"{id_}-{number}")
    for id_, cases in FAULTS.items()
    for number, (facts, _) in enumerate(cases)
]


def _found(facts: Any) -> list[Finding]:
    checks = [check for check in REGISTRY.values() if check.needs == "compose"]
    assert len(checks) == len(FAULTS)
    return [f for check in checks for f in check.function(contract(compose="stack.yaml"), facts)]


@pytest.mark.parametrize("facts", CASES)
def test_each_fault_of_the_compose_file_is_told_once(facts):
    assert len(_found(facts)) == 1, _found(facts)


@pytest.mark.parametrize("facts", CASES)
def test_a_finding_names_the_service_and_the_file(facts):
    (finding,) = _found(facts)
    assert finding.message.startswith("shop ")
    assert finding.file == "stack.yaml"


# --- folders of the machine

NEVER = """
    / /boot /dev /etc /home /opt /proc /root /run /sys /usr /usr/local /var /var/lib /var/log
    /bin /sbin /lib /lib64 /usr/bin /usr/sbin /usr/lib /usr/lib64
    /usr/local/bin /usr/local/sbin /usr/local/lib /var/spool/cron
    /var/lib/docker /var/lib/containerd /var/lib/containers /var/lib/kubelet
    /run/dbus /run/libvirt /run/systemd /run/udev /run/user
    /etc/shadow /etc/gshadow /etc/passwd /etc/group /etc/sudoers /etc/sudoers.d/me
    /etc/ssh/ssh_host_rsa_key /etc/ssl/private /etc/pki/tls/private /etc/pam.d /etc/docker
    /etc/kubernetes/admin.conf
    /srv/me/.ssh /srv/me/.aws /srv/me/.azure /srv/me/.kube/config /srv/me/.docker /srv/me/.gnupg
    /srv/me/.config/gcloud /srv/me/.netrc /srv/me/.git-credentials
"""
ONLY_READ = """
    /etc/shop /bin/sh /sbin/init /lib/modules /lib64/x /usr/bin/x /usr/sbin/x /usr/lib/x
    /usr/lib64/x /usr/local/bin/x /usr/local/sbin/x /usr/local/lib/x /var/spool/cron/x
"""
ALWAYS = """
    /srv /srv/shop /opt/shop /home/me/shop /root/shop /usr/share/zoneinfo /usr/local/share/x
    /var/lib/shop /var/log/shop /run/shop /etcetera /srv/etc /srv/me/.sshd /srv/me/.config/shop
    /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/log
"""


@pytest.mark.parametrize("name", ["docker", "containerd", "podman", "crio", "buildkit", "systemd"])
def test_a_folder_that_holds_a_socket_is_the_socket(name):
    assert holds_socket(f"/run/{name}")
    assert holds_socket(f"/var/run/{name}/")
    assert not holds_socket(f"/srv/{name}")


@pytest.mark.parametrize("name", ["docker", "containerd", "podman", "crio", "buildkitd"])
def test_a_socket_is_one_wherever_it_lies(name):
    assert holds_socket(f"/srv/{name}.sock")
    assert not holds_socket(f"/srv/{name}.sock.d")
    assert not holds_socket(f"/srv/my-{name}.sock")


@pytest.mark.parametrize("path", NEVER.split())
def test_what_no_container_may_even_read(path):
    for read_only in (True, False):
        assert gives_away(path, read_only=read_only) or holds_socket(path)


@pytest.mark.parametrize("path", ONLY_READ.split())
def test_what_may_be_read_and_not_written(path):
    assert gives_away(path, read_only=False)
    assert not gives_away(path, read_only=True)


@pytest.mark.parametrize("path", ALWAYS.split())
def test_what_is_a_projects_own_or_harmless(path):
    assert not gives_away(path, read_only=False)
    assert not holds_socket(path)
