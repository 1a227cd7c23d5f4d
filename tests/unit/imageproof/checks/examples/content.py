"""Faults and near misses of what is in an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.sample_facts import Case, file, having, holding, image, layer, service_contract


def _link(path: str, target: str) -> Any:
    return file(path, kind="link", target=target)


REQUIRED = service_contract(required=["/app/LICENSE", "/usr/share/doc/*/copyright"])
LICENCES = (file("app/LICENSE"), file("usr/share/doc/libc6/copyright"))
WHEEL = file("usr/local/lib/python3.11/ensurepip/_bundled/pip-24.0-py3-none-any.whl")
NO_MANUALS = service_contract(absent=["/usr/share/man/*", "/app/tests"])

FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "content.toolchain": [
        (holding(path), path.rpartition("/")[2])
        for path in (
            *("usr/bin/gcc", "usr/bin/gcc-12", "usr/bin/x86_64-linux-gnu-gcc-12", "usr/bin/cc"),
            *("usr/bin/g++", "usr/bin/clang++-14", "usr/bin/ld.gold", "usr/bin/as"),
            *("usr/bin/make", "opt/cmake/bin/cmake", "root/.cargo/bin/cargo"),
            *("usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "usr/lib/node_modules/x/node-gyp"),
        )
    ],
    "content.package-managers": [
        *(
            (holding(f"usr/bin/{name}"), f"{said} is in the image")
            for name, said in (
                *(("apt-get", "apt"), ("dpkg", "dpkg"), ("dnf-3", "dnf"), ("rpm", "rpm")),
                *(("pip3.11", "pip"), ("uvx", "uv"), ("yarnpkg", "yarn"), ("gem", "gem")),
            )
        ),
        (holding("sbin/apk"), "apk is in the image: /sbin/apk"),
        (holding("opt/tools/bin/conda"), "conda is in the image"),
        (replace(holding("opt/tools/uv"), environment={"PATH": "/opt/tools"}), "/opt/tools/uv"),
        (holding("usr/bin/npm"), "npm is in the image", service_contract(absent=[])),
        (
            having(
                _link("usr/local/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js"),
                file("usr/local/lib/node_modules/npm/bin/npx-cli.js"),
            ),
            "npm is in the image",
            service_contract(absent=["sh"]),
        ),
        (having(WHEEL), "ensurepip"),
    ],
    "content.required": [
        (image(), "/app/LICENSE is not", REQUIRED),
        (having(LICENCES[0]), "/usr/share/doc/*/copyright is not", REQUIRED),
        (having(_link("app/LICENSE", "COPYING"), LICENCES[1]), "/app/LICENSE", REQUIRED),
        (
            image(layers=(layer(*LICENCES), layer(file("app/.wh.LICENSE"), name="b"))),
            "/app/LICENSE",
            REQUIRED,
        ),
    ],
    "content.forbidden": [
        (holding("usr/bin/npm"), "npm"),
        (holding("bin/sh"), "sh"),
        (holding("usr/local/bin/npm"), "npm"),
        (having(_link("usr/bin/sh", "dash"), file("usr/bin/dash")), "sh"),
        (having(file("usr/share/man/man1/a.1")), "/usr/share/man/man1/a.1", NO_MANUALS),
        (having(file("app/tests/data/x")), "/app/tests/data/x", NO_MANUALS),
        (
            having(*(file(f"usr/share/man/{n}") for n in range(9))),
            "/usr/share/man/4 and 4 more is in",
            NO_MANUALS,
        ),
    ],
}

FINE: dict[str, list[Any]] = {
    "content.toolchain": [
        holding("usr/bin/cat", "usr/bin/makeinfo", "usr/bin/gcc.txt", "usr/bin/basename"),
        holding("usr/lib/python3.11/as.py", "usr/share/doc/make"),
        image(layers=(layer(file("usr/bin/make", mode=0o644)),)),
        image(layers=(layer(file("etc/cc", kind="folder")),)),
        image(layers=(layer(file("usr/bin/gcc")), layer(file("usr/bin/.wh.gcc")))),
    ],
    "content.package-managers": [
        holding("usr/bin/npm"),  # in `absent`: content.forbidden tells it
        Case(holding("usr/bin/pip"), service_contract(absent=["python:pip"])),
        Case(
            holding("usr/bin/npm"), service_contract(absent=[], programs={"npm": {"answers": "10"}})
        ),
        holding("usr/bin/adapt", "usr/bin/pipe", "usr/bin/uvicorn", "usr/bin/aptly"),
        holding("etc/cron.daily/dpkg", "usr/share/bash-completion/completions/pip"),
        having(file("usr/bin/pip", mode=0o644), file("app/pip", kind="folder")),
        having(_link("usr/local/bin/yarn", "../lib/node_modules/yarn/bin/yarn.js")),
        having(file("usr/lib/python3.11/ensurepip/__init__.py")),
        having(file("usr/lib/python3.11/ensurepip/_bundled/setuptools-65.5-py3-none-any.whl")),
        Case(having(WHEEL), service_contract(absent=["python:pip"])),
        image(layers=(layer(file("usr/bin/apt")), layer(file("usr/bin/.wh.apt"), name="b"))),
    ],
    "content.required": [
        image(),
        Case(having(*LICENCES), REQUIRED),
        Case(
            having(_link("app/LICENSE", "/app/COPYING"), file("app/COPYING"), LICENCES[1]),
            REQUIRED,
        ),
    ],
    "content.forbidden": [
        holding("usr/bin/bash", "usr/bin/npmx", "usr/share/npm"),
        image(layers=(layer(file("usr/bin/npm", mode=0o644)),)),
        image(layers=(layer(file("usr/bin/npm")), layer(file("usr/bin/.wh.npm")))),
        holding("usr/lib/python3.11/sh"),
        having(_link("usr/bin/sh", "dash")),  # it leads nowhere
        Case(having(file("usr/share/man/man1", kind="folder")), NO_MANUALS),
        Case(having(file("usr/share/manual"), file("app/testsuite")), NO_MANUALS),
    ],
}
