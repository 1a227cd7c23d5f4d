"""Faults and near misses of the files of an image."""

from __future__ import annotations

from typing import Any

from tests.support.sample_facts import Case, file, having, image, layer, saying, service_contract

PASSWD = "root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = "root:x:0:\nshadow:x:42:\nnogroup:x:65534:\n"
STICKY = {"kind": "folder", "mode": 0o1777}
MINE = {"uid": 10001, "gid": 10001}


def _owned(uid: int, gid: int) -> Any:
    accounts = {"etc/passwd": PASSWD, "etc/group": GROUP}
    return saying(accounts, file("srv/prices", uid=uid, gid=gid))


def _writable(*paths: str) -> Any:
    return service_contract(writable=list(paths))


def _gone(**changes: Any) -> Any:
    """A file that a later layer takes away."""
    below = layer(file("opt/a", **changes))
    return image(layers=(below, layer(file("opt/.wh.a"), name="b")))


MANY = having(*(file(f"app/{number}.py", **MINE) for number in range(20)))

FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "fs.setuid": [
        (having(file("usr/bin/su", mode=0o4755)), "/usr/bin/su"),
        (having(file("usr/bin/wall", mode=0o2755)), "/usr/bin/wall"),
        (having(file("opt/x", mode=0o6644)), "/opt/x"),
        (having(file("opt/y", kind="hardlink", mode=0o4755, target="/opt/x")), "/opt/y"),
    ],
    "fs.file-capabilities": [
        (having(file("usr/bin/ping", xattrs=("security.capability",))), "/usr/bin/ping"),
        (having(file("opt/x", xattrs=("security.capability", "user.a"))), "/opt/x"),
    ],
    "fs.world-writable": [
        (having(file("srv/prices", mode=0o666)), "/srv/prices"),
        (having(file("srv", kind="folder", mode=0o777)), "/srv"),
        (having(file("tmp", kind="folder", mode=0o777)), "/tmp"),  # not sticky
        (having(file("srv", **STICKY)), "/srv"),  # sticky, and not the contract's
        (having(file("tmp/left", mode=0o666)), "/tmp/left"),
        (having(file("dev/shm/left", mode=0o1666)), "/dev/shm/left"),
        (having(file("data/left", mode=0o1666)), "/data/left", _writable("/data")),
        (having(file("app", mode=0o777, **MINE)), "/app"),
    ],
    "fs.app-immutable": [
        (having(file("app/main.py", mode=0o644, **MINE)), "/app/main.py"),
        (having(file("app/main.py", mode=0o444, uid=10001)), "/app/main.py"),  # he may chmod it
        (having(file("app", kind="folder", uid=10001)), "/app"),
        (having(file("app/data", mode=0o664, gid=10001)), "/app/data"),
        (having(file("tmpfiles/x", mode=0o644, **MINE)), "/tmpfiles/x"),  # no part of /tmp
        (MANY, "/app/12.py and 15 more"),
    ],
    "fs.orphans": [
        (_owned(4242, 0), "/srv/prices"),
        (_owned(0, 4242), "/srv/prices"),
        (having(file("srv/prices", uid=1000, gid=1000)), "/srv/prices"),
        (having(file("etc/passwd", kind="link", target="/nix/passwd")), "could not be read"),
    ],
    "fs.entries": [
        (having(anomalies=("../../etc/cron.d/x leads out of its folder",)), "../../etc/cron.d/x"),
        (image(layers=(layer(), layer(anomalies=("a is there twice",)))), "a is there twice"),
    ],
}

FINE: dict[str, list[Any]] = {
    "fs.setuid": [
        having(file("var/mail", kind="folder", mode=0o2775), file("opt/x", mode=0o1755)),
        having(file("opt/x", kind="link", mode=0o4777, target="y")),
        _gone(mode=0o4755),
    ],
    "fs.file-capabilities": [
        having(file("opt/x", xattrs=("user.security.capability", "security.selinux"))),
        _gone(xattrs=("security.capability",)),
    ],
    "fs.world-writable": [
        having(*(file(path, **STICKY) for path in ("tmp", "var/tmp", "run/lock", "dev/shm"))),
        Case(having(file("data", **STICKY), file("data/in", **STICKY)), _writable("/data")),
        having(file("usr/bin/x", kind="link", mode=0o777, target="y")),
        having(file("dev/null", kind="other", mode=0o666)),
        having(file("srv/prices", mode=0o664)),
        _gone(mode=0o666),
    ],
    "fs.app-immutable": [
        having(file("app/main.py", mode=0o644), file("srv/x", mode=0o640, gid=10001)),
        having(file("tmp/x", mode=0o600, **MINE)),
        Case(having(file("data", kind="folder", **MINE)), _writable("/data/")),
        Case(having(file("data/a/b", **MINE)), _writable("/data")),
        having(file("app/x", kind="link", mode=0o755, target="y", **MINE)),
        having(file("app/fifo", kind="other", mode=0o644, **MINE)),
        Case(MANY, _writable("/")),
        having(file("app/x", mode=0o666, **MINE)),  # fs.world-writable tells it
        having(file("app/x", mode=0o664, gid=10002)),
        _gone(**MINE),
    ],
    "fs.orphans": [
        _owned(65534, 42),
        _owned(10001, 10001),  # whoever runs it needs no account
        having(file("srv/prices", uid=0, gid=0)),
    ],
    "fs.entries": [image(), having(file("a..b"), file("..x"), file("two words"))],
}
