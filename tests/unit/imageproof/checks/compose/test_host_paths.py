"""Paths of the host that no container should have."""

from __future__ import annotations

import pytest

from imageproof.checks.compose.host_paths import exposes_host, holds_socket

UNREADABLE = """
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
READ_ONLY = """
    /etc/shop /bin/sh /sbin/init /lib/modules /lib64/x /usr/bin/x /usr/sbin/x /usr/lib/x
    /usr/lib64/x /usr/local/bin/x /usr/local/sbin/x /usr/local/lib/x /var/spool/cron/x
"""
HARMLESS = """
    /srv /srv/shop /opt/shop /home/me/shop /root/shop /usr/share/zoneinfo /usr/local/share/x
    /var/lib/shop /var/log/shop /run/shop /etcetera /srv/etc /srv/me/.sshd /srv/me/.config/shop
    /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/log
"""


@pytest.mark.parametrize("name", ["docker", "containerd", "podman", "crio", "buildkit", "systemd"])
def test_folder_with_an_engine_socket_holds_it(name):
    assert holds_socket(f"/run/{name}")
    assert holds_socket(f"/var/run/{name}/")
    assert not holds_socket(f"/srv/{name}")


@pytest.mark.parametrize("name", ["docker", "containerd", "podman", "crio", "buildkitd"])
def test_engine_socket_is_found_by_name_in_any_folder(name):
    assert holds_socket(f"/srv/{name}.sock")
    assert not holds_socket(f"/srv/{name}.sock.d")
    assert not holds_socket(f"/srv/my-{name}.sock")


@pytest.mark.parametrize("path", UNREADABLE.split())
def test_secret_path_exposes_the_host_even_read_only(path):
    for read_only in (True, False):
        assert exposes_host(path, read_only=read_only) or holds_socket(path)


@pytest.mark.parametrize("path", READ_ONLY.split())
def test_system_path_exposes_the_host_only_if_writable(path):
    assert exposes_host(path, read_only=False)
    assert not exposes_host(path, read_only=True)


@pytest.mark.parametrize("path", HARMLESS.split())
def test_project_path_does_not_expose_the_host(path):
    assert not exposes_host(path, read_only=False)
    assert not holds_socket(path)
