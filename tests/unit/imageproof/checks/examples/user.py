"""Faults and near misses of the user.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.sample_facts import file, image, with_files, with_texts

ROOT = "root:x:0:0:root:/root:/usr/sbin/nologin\n"
APP = "app:x:10001:10001::/nonexistent:/usr/sbin/nologin\n"
GROUPS = "root:x:0:\napp:x:10001:\nwheel:x:0:\n"
DEBIAN = (
    f"{ROOT}daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nsync:x:4:65534:sync:/bin:/bin/sync\n"
    f"_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n{APP}"
)


def _as(user: str, passwd: str = ROOT + APP, group: str = GROUPS) -> Any:
    return replace(with_texts({"etc/passwd": passwd, "etc/group": group}), user=user)


def _passwd(text: str, **more: str) -> Any:
    return with_texts(
        {"etc/passwd": text, **{f"etc/{name}": content for name, content in more.items()}}
    )


FAULTS: dict[str, list[tuple[Any, str]]] = {
    "user.nonroot": [
        *((image(user=user), "the user is root") for user in ("", "root", "0", "0:0", "00:00")),
        (image(user="0:10001"), "the user is root"),
        (image(user="root:10001"), "the user is root"),
        (_as("toor", ROOT + "toor:x:0:5::/:/bin/sh\n"), "the user is root"),
        (image(user="10001:0"), "the group is root"),
        (image(user="10001:00"), "the group is root"),
        (image(user="10001:root"), "the group is root"),
        (_as("10001:wheel"), "the group is root"),
        # Without a group the engine takes the account's, and root's where there is no account.
        (image(user="10001"), "the group is root"),
        (_as("10001", ROOT + "app:x:10001:0::/:/bin/false\n"), "the group is root"),
        (_as("app", ROOT + "app:x:10002:10001::/:/bin/false\n"), ", the contract's is 10001:10001"),
        (image(user="10002:10001"), ", the contract's is 10001:10001"),
        (image(user="10001:10002"), ", the contract's is 10001:10001"),
    ],
    "user.numeric": [
        *((_as(user), user) for user in ("app", "app:app", "10001", "10001:app", "app:10001")),
        (image(user="nobody:nogroup"), "nobody:nogroup"),
    ],
    "user.accounts": [
        (_passwd(ROOT + "guest::1000:1000::/:/bin/false\n"), "guest has an empty password"),
        (_passwd(ROOT, shadow="root::19000:0:99999:7:::\n"), "root has an empty password"),
        (_passwd(ROOT + "toor:x:0:1::/:/bin/false\n"), "root and toor have the same uid 0"),
        (_passwd(DEBIAN + "b:x:1:9::/:/bin/false\n"), "daemon and b have the same uid 1"),
        (_passwd(ROOT, group="root:x:0:\na:x:5:\nb:x:5:c\n"), "a and b have the same gid 5"),
        (_passwd(ROOT, group="a:x:5\nb:x:5\n"), "a and b have the same gid 5"),
        (
            _passwd(ROOT + "app:x:10001:10001::/:/bin/bash\n"),
            "login shell /bin/bash, expected /usr/sbin/nologin",
        ),
        (_passwd(ROOT + "app:x:10001:10001::/:\n"), "login shell /bin/sh"),  # passwd(5)
        (with_files(file("etc/passwd", kind="link", target="/nix/passwd")), "could not be read"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "user.nonroot": [
        image(user="10001:10001"),
        *(_as(user) for user in ("app", "app:app", "10001")),  # user.numeric reports it
        image(user="unknown"),
    ],
    "user.numeric": [image(user=user) for user in ("0:0", "", "root", "10001:10001", "10001:0")],
    "user.accounts": [
        image(),
        _passwd(DEBIAN, shadow="root:*:19000::::::\napp:!:19000::::::\n", group=GROUPS[:-11]),
        _passwd(ROOT + "other:x:1000:1000::/:/bin/bash\n"),  # not the user of the service
        _passwd(
            "# app::1:1::/:/bin/sh\n+::::::\n::::::\nbroken:x:0\na:x:zero:1::/:/bin/sh\n"
            "b:x:10001:none::/:/bin/sh\n" + ROOT,
            group="short\na:x:no:\nb:x:no:\n",
            shadow="short\n::\n",
        ),
        with_texts({"etc/group": "root:x:0:\n"}),
    ],
}
