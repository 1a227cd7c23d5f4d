"""Faults and near misses of the base.* checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from imageproof.project.project_files import ProjectFiles
from tests.support.sample_facts import (
    BASE_LABEL,
    DIGEST_LABEL,
    TITLE_LABEL,
    TODAY,
    Case,
    file,
    image,
    package,
    service_contract,
    with_files,
    with_label,
)

DEBIAN_12 = 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n'
SLIM = ("usr/local/bin/python3.11", "usr/local/lib/python3.11/os.py")


def _on(release: str, *paths: str, today: date = TODAY, packages: Any = (), **env: str) -> Any:
    """Return an image with this os-release and these files."""
    texts = {"etc/os-release": release} if release else {}
    records = {p.record for p in packages}
    files = [file(path) for path in (*paths, *texts, *sorted(records))]
    facts = with_files(*files, texts=texts, packages=packages)
    return replace(
        facts, environment={"PATH": "/usr/bin", **env}, project_files=ProjectFiles(today)
    )


def _release(kind: str, version: str) -> str:
    return f"# a comment\nNAME=x\nID={kind}\nVERSION_ID='{version}'\n"


FAULTS: dict[str, list[tuple[Any, str]]] = {
    "base.recorded": [
        (image(labels={TITLE_LABEL: "shop"}), BASE_LABEL),
        (with_label(BASE_LABEL, ""), BASE_LABEL),
    ],
    "base.pinned": [
        (image(labels={BASE_LABEL: "python:3.11-slim"}), DIGEST_LABEL),
        (with_label(DIGEST_LABEL, ""), DIGEST_LABEL),
        (with_label(DIGEST_LABEL, "3.11-slim"), DIGEST_LABEL),
        (with_label(DIGEST_LABEL, "sha256:" + "1" * 63), DIGEST_LABEL),
    ],
    "base.supported": [
        (_on(_release("debian", "10")), "Debian 10 has had no security updates since 2024-06-30"),
        (_on(DEBIAN_12, today=date(2028, 7, 1)), "Debian 12 has had no"),
        (_on(_release("ubuntu", "20.04")), "Ubuntu 20.04"),
        (_on(_release("alpine", "3.19.4")), "Alpine 3.19.4 has had no"),
        (_on(_release("debian", "")), "recorded for Debian of an unknown version"),
        (_on(_release("hannah", "1")), "recorded for Hannah 1"),
        (_on("NAME=nothing else"), "recorded for Linux"),
        (_on(DEBIAN_12, "usr/local/lib/python3.9/os.py"), "Python 3.9 has had no"),
        (_on("", "opt/conda/lib/python2.7/os.py"), "Python 2.7 has had no"),
        # below /usr, but not the distribution's
        (_on(DEBIAN_12, "usr/libexec/shop/lib/python3.9/os.py"), "Python 3.9 has had no"),
        (
            _on("", "usr/lib/python3.9/os.py"),
            "Python 3.9 has had no",
        ),  # no distribution supports it
        (
            _on(
                _release("ubuntu", "22.04"),
                "usr/lib/python3.9/os.py",
                packages=(package("dpkg", "python3.9", "3.9.25-1+jammy1"),),
            ),
            "Python 3.9 has had no",
        ),
        (_on("", "usr/bin/node", NODE_VERSION="18.20.4"), "Node.js 18.20.4 has had no"),
        (
            _on(
                DEBIAN_12,
                "usr/bin/node",
                packages=(package("dpkg", "nodejs", "20.19.0-1nodesource1"),),
            ),
            "Node.js 20.19.0 has had no",
        ),
        (_on("", "usr/bin/node"), "recorded for Node.js of an unknown version"),
        # Neither another package nor another kind of package makes it the distribution's.
        *(
            (_on(DEBIAN_12, "usr/bin/node", packages=(other,)), "Node.js of an unknown version")
            for other in (package("npm", "nodejs", "1"), package("dpkg", "node-acorn", "1"))
        ),
        (replace(image(), project_files=None), "date is unknown"),
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "base.recorded": [with_label(BASE_LABEL, "scratch")],
    "base.pinned": [
        with_label(DIGEST_LABEL, "sha256:" + "e" * 64),
        image(labels={BASE_LABEL: "python:3.11-slim@sha256:" + "e" * 64}),
        image(labels={BASE_LABEL: "scratch"}),
    ],
    "base.supported": [
        image(),  # one static program, no distribution
        _on(DEBIAN_12, today=date(2028, 6, 30)),  # the last day of its LTS
        _on(_release("alpine", "3.22.1")),
        _on(_release("rhel", "9.4")),
        _on(_release("wolfi", "20230201")),
        _on(DEBIAN_12, *SLIM),
        _on(DEBIAN_12, "usr/lib/python3.9/os.py"),  # supported by Debian's security team
        _on("", "opt/venv/lib/python3.9/site-packages/x.py", "opt/venv/bin/python3.9"),
        _on(DEBIAN_12, "usr/bin/node", packages=(package("dpkg", "nodejs", "18.20.4+dfsg-1"),)),
        _on(_release("alpine", "3.22.1"), "usr/bin/node", packages=(package("apk", "nodejs"),)),
        _on("", "usr/bin/node", NODE_VERSION="22.11.0"),
        Case(
            _on("", "usr/bin/node"), service_contract(absent=["node"])
        ),  # content.forbidden reports it
        _on(
            DEBIAN_12,
            "usr/lib/python3.9/os.py",
            packages=(
                package("dpkg", "nginx", "1+jammy1"),
                package("python", "python-x", "1+jammy1"),
            ),
        ),
    ],
}
