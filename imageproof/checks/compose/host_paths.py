"""Which folders and files of the machine no container should have: CIS Docker Benchmark 5.6, 5.32.

What lies below a folder of the system is told apart: a certificate store that is read is no fault,
the accounts beside it are one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

# Whoever may write to one of these commands an engine, or the machine's first process.
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

# Alone, not what lies below: a project may well be in /home/me/shop or /usr/src/shop.
_ITSELF = frozenset(
    {"/home", "/opt", "/root", "/usr", "/usr/local", "/var", "/var/lib", "/var/log"}
)
_HOME = re.compile(r"^/home/[^/]+$")
# With all that lies below.
_TREES = frozenset(
    {"/boot", "/dev", "/proc", "/sys"}
    | {"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet"}
    | {"/run/dbus", "/run/libvirt", "/run/systemd", "/run/udev", "/run/user"}
)
# With all that lies below where it may be written: what root runs, and how the system is set up.
_SYSTEM = frozenset(
    {"/bin", "/etc", "/lib", "/lib64", "/sbin", "/var/spool/cron"}
    | {"/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin"}
    | {"/usr/local/bin", "/usr/local/lib", "/usr/local/sbin"}
)
# What may not even be read of those.
_SECRET = frozenset(
    {"/etc/shadow", "/etc/gshadow", "/etc/passwd", "/etc/group", "/etc/sudoers", "/etc/sudoers.d"}
    | {"/etc/ssh", "/etc/ssl/private", "/etc/pki/tls/private", "/etc/pam.d"}
    | {"/etc/docker", "/etc/kubernetes"}
)
# Somebody's credentials, wherever his home is.
_CREDENTIALS = re.compile(
    r"/(?:\.ssh|\.aws|\.azure|\.kube|\.docker|\.gnupg|\.config/gcloud|\.netrc|\.git-credentials)"
    r"(?:/|$)"
)
# Devices that tell and grant nothing, and the socket that only takes log lines.
_HARMLESS = frozenset(
    {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/log"}
)


def _real(path: str) -> str:
    """As the engine takes it: without `..` and doubled slashes, and /run by its one name."""
    path = re.sub(r"^/+", "/", posixpath.normpath(path))
    return re.sub(r"^/var/run(?=/|$)", "/run", path)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def holds_socket(path: str) -> bool:
    """Whether a mount of that path is an engine's socket, or a folder that holds one."""
    real = _real(path)
    inside = f"{real.rstrip('/')}/"
    return (
        bool(_SOCKET_NAMES.search(real))
        or real in _SOCKETS
        or any(socket.startswith(inside) for socket in _SOCKETS)
    )


def gives_away(path: str, *, read_only: bool) -> bool:
    """Whether a mount of that path gives the machine away, or what is known to it alone."""
    real = _real(path)
    if real in _HARMLESS:
        return False
    return (
        real in _ITSELF
        or real in _SYSTEM
        or bool(_HOME.match(real) or _CREDENTIALS.search(real))
        or _below(real, _TREES | _SECRET)
        or (not read_only and _below(real, _SYSTEM))
    )
