"""Paths of the host that no container should have: CIS Docker Benchmark 5.6, 5.32."""

from __future__ import annotations

import posixpath
import re

from imageproof.checks.files import is_within

# A client of one of these sockets controls an engine, or the host's init process.
_SOCKETS = (
    "/run/docker.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/systemd/private",
)
_SOCKET_NAMES = re.compile(r"/(?:docker|containerd|podman|crio|buildkitd)\.sock$")

# These folders themselves: a folder in them, such as /home/me/shop, may be a project's.
_FOLDERS = frozenset(
    {"/home", "/opt", "/root", "/usr", "/usr/local", "/var", "/var/lib", "/var/log"}
)
_HOME = re.compile(r"^/home/[^/]+$")
# These folders and everything below.
_TREES = frozenset(
    {"/boot", "/dev", "/proc", "/sys"}
    | {"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet"}
    | {"/run/dbus", "/run/libvirt", "/run/systemd", "/run/udev", "/run/user"}
)
# Programs and configuration of root: these folders themselves, and everything below if the mount
# is writable. A read-only subfolder, such as a certificate store, is harmless.
_SYSTEM = frozenset(
    {"/bin", "/etc", "/lib", "/lib64", "/sbin", "/var/spool/cron"}
    | {"/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin"}
    | {"/usr/local/bin", "/usr/local/lib", "/usr/local/sbin"}
)
# Their subfolders that a container must not even read, with everything below.
_SECRET = frozenset(
    {"/etc/shadow", "/etc/gshadow", "/etc/passwd", "/etc/group", "/etc/sudoers", "/etc/sudoers.d"}
    | {"/etc/ssh", "/etc/ssl/private", "/etc/pki/tls/private", "/etc/pam.d"}
    | {"/etc/docker", "/etc/kubernetes"}
)
# A user's credentials, in any home.
_CREDENTIALS = re.compile(
    r"/(?:\.ssh|\.aws|\.azure|\.kube|\.docker|\.gnupg|\.config/gcloud|\.netrc|\.git-credentials)"
    r"(?:/|$)"
)
# Devices without data of the host, and the socket /dev/log, which only accepts log lines.
_HARMLESS_DEVICES = frozenset(
    {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/log"}
)


def holds_socket(path: str) -> bool:
    """Return whether a host path is an engine's socket, or a folder that holds one."""
    path = _normalise(path)
    inside = f"{path.rstrip('/')}/"
    return (
        bool(_SOCKET_NAMES.search(path))
        or path in _SOCKETS
        or any(socket.startswith(inside) for socket in _SOCKETS)
    )


def exposes_host(path: str, *, read_only: bool) -> bool:
    """Return whether a mount of a host path gives control of the host, or its secrets."""
    path = _normalise(path)
    if path in _HARMLESS_DEVICES:
        return False
    return (
        path in _FOLDERS
        or path in _SYSTEM
        or bool(_HOME.match(path) or _CREDENTIALS.search(path))
        or is_within(path, _TREES | _SECRET)
        or (not read_only and is_within(path, _SYSTEM))
    )


def _normalise(path: str) -> str:
    """Return the path as the engine resolves it, with /run for its other name /var/run."""
    path = re.sub(r"^/+", "/", posixpath.normpath(path))
    return re.sub(r"^/var/run(?=/|$)", "/run", path)
