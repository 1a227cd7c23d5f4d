"""Faults and near misses of packages: what is locked, managed, forbidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.sample_facts import SITE, Case, installed, package, service_contract

LOCK = service_contract(
    lock="locks/shop.txt", npm_lock="package-lock.json", packages=["lib*", "python3.11"]
)
PYTHON = {"ice-cream": ("3.0",), "numpy": ("1.26.4", "2.1.0")}
NPM = {"blink": ("1.0.0", "2.0.0")}
FULL = (package("python", "Ice_Cream", "3.0"), package("python", "numpy", "2.1.0"))


def _locked(*packages: Any, conditional: tuple[str, ...] = ("numpy",)) -> Any:
    here = (package("python", "ice-cream", "3.0"), *packages)
    return installed(*here, python=PYTHON, npm=NPM, conditional=frozenset(conditional))


def _vendored(name: str, record: str) -> Any:
    return package("python", name, record=record)


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "content.locked": [
        (_locked(package("python", "stranger")), "stranger 1.0 is not in locks/shop.txt", LOCK),
        (_locked(package("python", "numpy", "1.0")), "and 1.26.4 or 2.1.0 in locks", LOCK),
        (_locked(package("npm", "left-pad")), "left-pad 1.0 is not in package-lock.json", LOCK),
        (_locked(package("npm", "blink", "3.0.0")), "1.0.0 or 2.0.0 in package-lock", LOCK),
        (_locked(package("dpkg", "netcat-openbsd")), "netcat-openbsd is not among", LOCK),
        (_locked(package("apk", "musl")), "musl is not among", LOCK),
        (_locked(conditional=()), "numpy is in locks/shop.txt, and not in the image", LOCK),
        # An npm package of that name is another one.
        (_locked(package("npm", "numpy"), conditional=()), "numpy is in locks/shop.txt, and", LOCK),
        (
            _locked(
                package("python", "thief", owns=(f"{SITE}/stranger-1.0.dist-info/METADATA",)),
                package("python", "stranger"),
            ),
            "stranger 1.0 is not in",
            LOCK,
        ),
    ],
    "content.package-managers": [
        (installed(package("python", "pip", "24.0")), "pip is in the image: /opt/venv"),
        (installed(package("npm", "corepack")), "corepack is in the image"),
    ],
    "content.forbidden": [
        (
            installed(package("python", "Left_Pad")),
            "left-pad",
            service_contract(absent=["python:left-pad"]),
        ),
        (installed(package("dpkg", "bash")), "dpkg:bash", service_contract(absent=["dpkg:bash"])),
    ],
}

FINE: dict[str, list[Any]] = {
    "content.locked": [
        installed(package("python", "stranger"), package("dpkg", "bash")),  # nothing is asked
        Case(_locked(package("dpkg", "libssl3t64"), package("dpkg", "python3.11")), LOCK),
        Case(installed(*FULL, python=PYTHON), LOCK),
        Case(_locked(package("npm", "blink", "1.0.0")), LOCK),
        Case(_locked(package("dpkg", "bash")), service_contract(lock="locks/shop.txt")),
        Case(replace(_locked(package("npm", "x"), package("python", "y")), record=None), LOCK),
        Case(installed(package("npm", "x"), package("python", "y")), LOCK),
        Case(installed(package("python", "x", "2024.1"), python={"x": ("2024.01",)}), LOCK),
        Case(installed(package("python", "x", "1.0"), python={"x": ("1.0.0",)}), LOCK),
        Case(_locked(package("python", "pip")), LOCK),  # content.package-managers tells it
        Case(
            _locked(package("python", "spam"), package("dpkg", "bash")),
            service_contract(lock="l", packages=["lib*"], absent=["python:spam", "dpkg:bash"]),
        ),
        Case(_locked(_vendored("six", "usr/lib/python3/dist-packages/six.egg-info")), LOCK),
        Case(
            _locked(
                _vendored("six", "opt/six.dist-info/METADATA"),
                package("dpkg", "lib-six", owns=("opt/six.dist-info/METADATA",)),
            ),
            LOCK,
        ),
        Case(_locked(_vendored("wheel", f"{SITE}/setuptools/_vendor/wheel.dist-info/M")), LOCK),
        Case(
            _locked(
                package(
                    "npm", "ini", record="usr/lib/node_modules/npm/node_modules/ini/package.json"
                )
            ),
            LOCK,
        ),
    ],
    "content.package-managers": [
        # dpkg keeps the record of a package whose programs were removed, and so do closures
        installed(package("dpkg", "apt"), package("dpkg", "dpkg")),
        Case(installed(package("python", "pip")), service_contract(absent=["pip"])),
        Case(installed(package("python", "pip")), service_contract(absent=["python:pip"])),
        installed(package("python", "pip-tools"), package("npm", "npm-run-all")),
    ],
    "content.forbidden": [
        Case(
            installed(package("python", "pip")), service_contract(absent=["npm:pip", "python:pi"])
        ),
        Case(
            installed(package("dpkg", "bash")), service_contract(absent=["bash"])
        ),  # a record, no program
    ],
}
