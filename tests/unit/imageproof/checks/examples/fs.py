"""Faults and near misses of the fs.* checks."""

from __future__ import annotations

from typing import Any

from tests.support.sample_facts import (
    Case,
    file,
    image,
    layer,
    service_contract,
    with_files,
    with_texts,
)

PASSWD = "root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = "root:x:0:\nshadow:x:42:\nnogroup:x:65534:\n"
STICKY = {"kind": "folder", "mode": 0o1777}
OWN = {"uid": 10001, "gid": 10001}


def _owned(uid: int, gid: int) -> Any:
    accounts = {"etc/passwd": PASSWD, "etc/group": GROUP}
    return with_texts(accounts, file("srv/prices", uid=uid, gid=gid))


def _writable(*paths: str) -> Any:
    return service_contract(writable=list(paths))


def _gone(**changes: Any) -> Any:
    """Return an image whose second layer removes a file."""
    below = layer(file("opt/a", **changes))
    return image(layers=(below, layer(file("opt/.wh.a"), name="b")))


MANY = with_files(*(file(f"app/{number}.py", **OWN) for number in range(20)))

FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "fs.setuid": [
        (with_files(file("usr/bin/su", mode=0o4755)), "/usr/bin/su"),
        (with_files(file("usr/bin/wall", mode=0o2755)), "/usr/bin/wall"),
        (with_files(file("opt/x", mode=0o6644)), "/opt/x"),
        (with_files(file("opt/y", kind="hardlink", mode=0o4755, target="/opt/x")), "/opt/y"),
    ],
    "fs.file-capabilities": [
        (with_files(file("usr/bin/ping", xattrs=("security.capability",))), "/usr/bin/ping"),
        (with_files(file("opt/x", xattrs=("security.capability", "user.a"))), "/opt/x"),
    ],
    "fs.world-writable": [
        (with_files(file("srv/prices", mode=0o666)), "/srv/prices"),
        (with_files(file("srv", kind="folder", mode=0o777)), "/srv"),
        (with_files(file("tmp", kind="folder", mode=0o777)), "/tmp"),  # not sticky
        (with_files(file("srv", **STICKY)), "/srv"),  # sticky, but not in `writable`
        (with_files(file("tmp/left", mode=0o666)), "/tmp/left"),
        (with_files(file("dev/shm/left", mode=0o1666)), "/dev/shm/left"),
        (with_files(file("data/left", mode=0o1666)), "/data/left", _writable("/data")),
        (with_files(file("app", mode=0o777, **OWN)), "/app"),
    ],
    "fs.app-immutable": [
        (with_files(file("app/main.py", mode=0o644, **OWN)), "/app/main.py"),
        (
            with_files(file("app/main.py", mode=0o444, uid=10001)),
            "/app/main.py",
        ),  # the owner may chmod it
        (with_files(file("app", kind="folder", uid=10001)), "/app"),
        (with_files(file("app/data", mode=0o664, gid=10001)), "/app/data"),
        (with_files(file("tmpfiles/x", mode=0o644, **OWN)), "/tmpfiles/x"),  # not below /tmp
        (MANY, "/app/12.py and 15 more"),
    ],
    "fs.orphans": [
        (_owned(4242, 0), "/srv/prices"),
        (_owned(0, 4242), "/srv/prices"),
        (with_files(file("srv/prices", uid=1000, gid=1000)), "/srv/prices"),
        (with_files(file("etc/passwd", kind="link", target="/nix/passwd")), "could not be read"),
    ],
    "fs.entries": [
        (
            with_files(anomalies=("../../etc/cron.d/x leads out of its folder",)),
            "../../etc/cron.d/x",
        ),
        (image(layers=(layer(), layer(anomalies=("a is there twice",)))), "a is there twice"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "fs.setuid": [
        with_files(file("var/mail", kind="folder", mode=0o2775), file("opt/x", mode=0o1755)),
        with_files(file("opt/x", kind="link", mode=0o4777, target="y")),
        _gone(mode=0o4755),
    ],
    "fs.file-capabilities": [
        with_files(file("opt/x", xattrs=("user.security.capability", "security.selinux"))),
        _gone(xattrs=("security.capability",)),
    ],
    "fs.world-writable": [
        with_files(*(file(path, **STICKY) for path in ("tmp", "var/tmp", "run/lock", "dev/shm"))),
        Case(with_files(file("data", **STICKY), file("data/in", **STICKY)), _writable("/data")),
        with_files(file("usr/bin/x", kind="link", mode=0o777, target="y")),
        with_files(file("dev/null", kind="other", mode=0o666)),
        with_files(file("srv/prices", mode=0o664)),
        _gone(mode=0o666),
    ],
    "fs.app-immutable": [
        with_files(file("app/main.py", mode=0o644), file("srv/x", mode=0o640, gid=10001)),
        with_files(file("tmp/x", mode=0o600, **OWN)),
        Case(with_files(file("data", kind="folder", **OWN)), _writable("/data/")),
        Case(with_files(file("data/a/b", **OWN)), _writable("/data")),
        with_files(file("app/x", kind="link", mode=0o755, target="y", **OWN)),
        with_files(file("app/fifo", kind="other", mode=0o644, **OWN)),
        Case(MANY, _writable("/")),
        with_files(file("app/x", mode=0o666, **OWN)),  # fs.world-writable reports it
        with_files(file("app/x", mode=0o664, gid=10002)),
        _gone(**OWN),
    ],
    "fs.orphans": [
        _owned(65534, 42),
        _owned(10001, 10001),  # the service's user needs no account
        with_files(file("srv/prices", uid=0, gid=0)),
    ],
    "fs.entries": [image(), with_files(file("a..b"), file("..x"), file("two words"))],
}
