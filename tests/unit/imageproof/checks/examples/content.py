"""Faults and near misses of the content.* checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.sample_facts import (
    SITE_PACKAGES,
    Case,
    file,
    image,
    layer,
    package,
    service_contract,
    with_files,
    with_packages,
    with_programs,
)


def _link(path: str, target: str) -> Any:
    return file(path, kind="link", target=target)


REQUIRED = service_contract(required=["/app/LICENSE", "/usr/share/doc/*/copyright"])
LICENCES = (file("app/LICENSE"), file("usr/share/doc/libc6/copyright"))
WHEEL = file("usr/local/lib/python3.11/ensurepip/_bundled/pip-24.0-py3-none-any.whl")
NO_MANUALS = service_contract(absent=["/usr/share/man/*", "/app/tests"])

STDLIB = "usr/lib/python3.11"
ALL, NONE = service_contract(bytecode="all", workdir="/app"), service_contract(bytecode="none")
IN_APP = service_contract(workdir="/app")
PYTHON = file("usr/bin/python3.11")


def _code(*paths: str, **changes: Any) -> Any:
    return with_files(PYTHON, *(file(path, mode=0o644, **changes) for path in paths))


def _module(path: str, tag: str = "cpython-311") -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return path, f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


LOCK = service_contract(
    lock="locks/shop.txt", npm_lock="package-lock.json", packages=["lib*", "python3.11"]
)
LOCKED_PYTHON = {"ice-cream": ("3.0",), "numpy": ("1.26.4", "2.1.0")}
LOCKED_NPM = {"blink": ("1.0.0", "2.0.0")}
FULL = (package("python", "Ice_Cream", "3.0"), package("python", "numpy", "2.1.0"))


def _locked(*packages: Any, conditional: tuple[str, ...] = ("numpy",)) -> Any:
    packages_of_image = (package("python", "ice-cream", "3.0"), *packages)
    return with_packages(
        *packages_of_image, python=LOCKED_PYTHON, npm=LOCKED_NPM, conditional=frozenset(conditional)
    )


def _vendored(name: str, record: str) -> Any:
    return package("python", name, record=record)


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "content.bytecode": [
        (_code("app/late.py"), "not compiled, expected all: /app/late.py", ALL),
        (_code(f"{SITE_PACKAGES}/x/y.py"), f"/{SITE_PACKAGES}/x/y.py", ALL),
        (_code(f"{STDLIB}/json/tool.py"), f"/{STDLIB}/json/tool.py", ALL),
        (_code(*_module("app/a.py", "cpython-312")), "not compiled, expected all: /app/a.py", ALL),
        (_code(*_module(f"{SITE_PACKAGES}/a.py", "cpython-311.opt-1")), "not compiled", ALL),
        (with_files(file("app/a.py")), "not compiled, expected all: /app/a.py", ALL),
        (_code(*_module("app/a.py")), "compiled, expected none: /app/__pycache__", NONE),
        (_code("app/a.pyc"), "compiled, expected none: /app/a.pyc", NONE),
    ],
    "content.caches": [
        *(
            (_code(path), word)
            for path, word in (
                ("var/lib/apt/lists/deb.invalid_dists_bookworm_InRelease", "/var/lib/apt/lists"),
                ("var/cache/apt/archives/x_1_all.deb", "/var/cache/apt"),
                ("var/cache/apk/APKINDEX.tar.gz", "/var/cache/apk"),
                ("root/.cache/pip/http/a/b", "/root/.cache/pip"),
                ("home/me/.cache/uv/wheels/x", "/home/me/.cache/uv"),
                ("root/.npm/_cacache/index", "/root/.npm/_cacache"),
                ("usr/local/share/.cache/yarn/v6/x", "/usr/local/share/.cache/yarn"),
                ("app/node_modules/.cache/babel/x", "/app/node_modules/.cache"),
                ("root/.m2/repository/a.jar", "/root/.m2/repository"),
            )
        ),
        (_code("app/__pycache__/gone.cpython-311.pyc"), "bytecode without its modules"),
        (_code("__pycache__/gone.cpython-311.opt-2.pyc"), "bytecode without its modules"),
    ],
    "content.forbidden": [
        (with_programs("usr/bin/npm"), "npm"),
        (with_programs("bin/sh"), "sh"),
        (with_programs("usr/local/bin/npm"), "npm"),
        (with_files(_link("usr/bin/sh", "dash"), file("usr/bin/dash")), "sh"),
        (with_files(file("usr/share/man/man1/a.1")), "/usr/share/man/man1/a.1", NO_MANUALS),
        (with_files(file("app/tests/data/x")), "/app/tests/data/x", NO_MANUALS),
        (
            with_files(*(file(f"usr/share/man/{n}") for n in range(9))),
            "/usr/share/man/4 and 4 more is in",
            NO_MANUALS,
        ),
        (
            with_packages(package("python", "Left_Pad")),
            "left-pad",
            service_contract(absent=["python:left-pad"]),
        ),
        (
            with_packages(package("dpkg", "bash")),
            "dpkg:bash",
            service_contract(absent=["dpkg:bash"]),
        ),
    ],
    "content.locked": [
        (_locked(package("python", "stranger")), "stranger 1.0 is not in locks/shop.txt", LOCK),
        (
            _locked(package("python", "numpy", "1.0")),
            "is 1.0 in the image, 1.26.4 or 2.1.0 in locks",
            LOCK,
        ),
        (_locked(package("npm", "left-pad")), "left-pad 1.0 is not in package-lock.json", LOCK),
        (_locked(package("npm", "blink", "3.0.0")), "1.0.0 or 2.0.0 in package-lock", LOCK),
        (
            _locked(package("dpkg", "netcat-openbsd")),
            "netcat-openbsd 1.0 is not in `packages`",
            LOCK,
        ),
        (_locked(package("apk", "musl")), "musl 1.0 is not in `packages`", LOCK),
        (_locked(conditional=()), "numpy is in locks/shop.txt but not in the image", LOCK),
        # The npm package of this name is another one.
        (_locked(package("npm", "numpy"), conditional=()), "numpy is in locks/shop.txt but", LOCK),
        (
            _locked(
                package(
                    "python", "thief", owns=(f"{SITE_PACKAGES}/stranger-1.0.dist-info/METADATA",)
                ),
                package("python", "stranger"),
            ),
            "stranger 1.0 is not in",
            LOCK,
        ),
    ],
    "content.package-managers": [
        *(
            (with_programs(f"usr/bin/{name}"), f"{manager} is in the image")
            for name, manager in (
                *(("apt-get", "apt"), ("dpkg", "dpkg"), ("dnf-3", "dnf"), ("rpm", "rpm")),
                *(("pip3.11", "pip"), ("uvx", "uv"), ("yarnpkg", "yarn"), ("gem", "gem")),
            )
        ),
        (with_programs("sbin/apk"), "apk is in the image: /sbin/apk"),
        (with_programs("opt/tools/bin/conda"), "conda is in the image"),
        (
            replace(with_programs("opt/tools/uv"), environment={"PATH": "/opt/tools"}),
            "/opt/tools/uv",
        ),
        (with_programs("usr/bin/npm"), "npm is in the image", service_contract(absent=[])),
        (
            with_files(
                _link("usr/local/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js"),
                file("usr/local/lib/node_modules/npm/bin/npx-cli.js"),
            ),
            "npm is in the image",
            service_contract(absent=["sh"]),
        ),
        (with_files(WHEEL), "ensurepip"),
        (with_files(WHEEL), "ensurepip", service_contract(absent=["pip3"])),
        (with_packages(package("python", "pip", "24.0")), "pip is in the image: /opt/venv"),
        (with_packages(package("npm", "corepack")), "corepack is in the image"),
    ],
    "content.required": [
        (image(), "/app/LICENSE is not", REQUIRED),
        (with_files(LICENCES[0]), "/usr/share/doc/*/copyright is not", REQUIRED),
        (with_files(_link("app/LICENSE", "COPYING"), LICENCES[1]), "/app/LICENSE", REQUIRED),
        (
            image(layers=(layer(*LICENCES), layer(file("app/.wh.LICENSE"), name="b"))),
            "/app/LICENSE",
            REQUIRED,
        ),
    ],
    "content.tests": [
        (_code("app/kiosk/tests/orders.json"), "/app/kiosk/tests: tests", IN_APP),
        (_code("app/tests/a.py", "app/tests/x/tests/b.py"), "/app/tests: tests, 2.0 kB", IN_APP),
        (_code("app/test_shop.py"), "/app/test_shop.py", IN_APP),
        (_code("app/conftest.py"), "/app/conftest.py", IN_APP),
        (_code("app/src/shop.spec.ts"), "/app/src/shop.spec.ts", IN_APP),
        (_code("app/test/test_a.py", "app/test/data"), "/app/test: tests, 2.0 kB", IN_APP),
        (image(workdir="/srv", layers=(layer(file("srv/tests/a.py")),)), "/srv/tests"),
        (_code(f"{SITE_PACKAGES}/numpy/core/tests/test_a.py", size=100_000), "/numpy/core/tests"),
        (_code(f"{SITE_PACKAGES}/tornado/test/web_test.py", size=150_000), "/tornado/test"),
        (
            _code(f"opt/test/{SITE_PACKAGES}/tornado/test/web_test.py", size=150_000),
            "/tornado/test: tests",
        ),
    ],
    "content.toolchain": [
        (with_programs(path), path.rpartition("/")[2])
        for path in (
            *("usr/bin/gcc", "usr/bin/gcc-12", "usr/bin/x86_64-linux-gnu-gcc-12", "usr/bin/cc"),
            *("usr/bin/g++", "usr/bin/clang++-14", "usr/bin/ld.gold", "usr/bin/as"),
            *("usr/bin/make", "opt/cmake/bin/cmake", "root/.cargo/bin/cargo"),
            *("usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "usr/lib/node_modules/x/node-gyp"),
        )
    ],
    "content.vcs": [
        (_code("app/.git/HEAD", "app/.git/objects/a"), "/app/.git: version control, 2.0 kB"),
        (_code("srv/lib/.hg/store"), "/srv/lib/.hg"),
        (_code("app/.svn/entries"), "/app/.svn"),
        (_code("app/.git"), "/app/.git"),  # of a worktree or submodule: names the real folder
    ],
}

NEAR_MISSES: dict[str, list[Any]] = {
    "content.bytecode": [
        _code("app/a.py"),
        _code(*_module("app/a.py")),
        Case(_code(*_module("app/a.py"), *_module(f"{SITE_PACKAGES}/b/c.py")), ALL),
        Case(_code(*_module(f"{STDLIB}/os.py"), "usr/share/x.py", "etc/python3.11/site.py"), ALL),
        Case(_code("app/page/late.py.txt", "app/node_modules/node-gyp/gyp/gyp_main.py"), ALL),
        Case(_code(f"{STDLIB}/lib2to3/tests/data/py2_test.py", "app/my-script.py"), ALL),
        Case(_code("usr/local/lib/python3.12/a.pth", "app/a.pyi"), ALL),
        Case(_code("srv/a.py", "apple/a.py", f"{SITE_PACKAGES}/x/LICENSE"), ALL),
        Case(
            _code("srv/a.py"), service_contract(bytecode="all")
        ),  # the working directory is unknown
        Case(_code(f"{SITE_PACKAGES}/a.py"), service_contract(bytecode="any")),
        Case(
            with_files(file("app/a.py", kind="folder"), file("app/b.py", kind="link", target="x")),
            ALL,
        ),
        # Without an interpreter, any bytecode counts.
        Case(with_files(*map(file, _module("app/a.py", "pypy310"))), ALL),
        Case(_code("app/a.py", f"{SITE_PACKAGES}/b.py"), NONE),
    ],
    "content.caches": [
        _code("var/lib/apt/lists/lock", "var/lib/apt/lists/partial", "var/cache/apt/archives/lock"),
        _code("root/.cache/pip/http/a", size=0),
        _code("root/.cache/pip/selfcheck/4f"),
        _code("var/cache/debconf/templates.dat-old", "var/cache/ldconfig/aux-cache"),
        _code("root/.cache/huggingface/model", "root/.cache/ms-playwright/chrome"),
        _code("app/cache/menu.txt", "app/pip/x", "app/.cache.py"),
        _code(*_module("app/a.py"), *_module(f"{STDLIB}/os.py"), "app/x.pyc"),
        _code("app/__pycache__/gone.cpython-311.pyc", size=0),
        _code("a.py", "__pycache__/a.cpython-311.pyc"),
        with_files(file("root/.cache/pip/http", kind="folder", size=4096)),
        Case(_code("app/__pycache__/gone.cpython-311.pyc"), NONE),  # content.bytecode reports it
        image(layers=(layer(file("var/cache/apt/x")), layer(file("var/.wh.cache"), name="b"))),
    ],
    "content.forbidden": [
        with_programs("usr/bin/bash", "usr/bin/npmx", "usr/share/npm"),
        image(layers=(layer(file("usr/bin/npm", mode=0o644)),)),
        image(layers=(layer(file("usr/bin/npm")), layer(file("usr/bin/.wh.npm")))),
        with_programs("usr/lib/python3.11/sh"),
        with_files(_link("usr/bin/sh", "dash")),  # a dangling link
        Case(with_files(file("usr/share/man/man1", kind="folder")), NO_MANUALS),
        Case(with_files(file("usr/share/manual"), file("app/testsuite")), NO_MANUALS),
        Case(
            with_packages(package("python", "pip")),
            service_contract(absent=["npm:pip", "python:pi"]),
        ),
        Case(
            with_packages(package("dpkg", "bash")), service_contract(absent=["bash"])
        ),  # a record, no program
    ],
    "content.locked": [
        with_packages(
            package("python", "stranger"), package("dpkg", "bash")
        ),  # the contract names no lock
        Case(_locked(package("dpkg", "libssl3t64"), package("dpkg", "python3.11")), LOCK),
        Case(with_packages(*FULL, python=LOCKED_PYTHON), LOCK),
        Case(_locked(package("npm", "blink", "1.0.0")), LOCK),
        Case(_locked(package("dpkg", "bash")), service_contract(lock="locks/shop.txt")),
        Case(
            replace(_locked(package("npm", "x"), package("python", "y")), project_files=None), LOCK
        ),
        Case(with_packages(package("npm", "x"), package("python", "y")), LOCK),
        Case(with_packages(package("python", "x", "2024.1"), python={"x": ("2024.01",)}), LOCK),
        Case(with_packages(package("python", "x", "1.0"), python={"x": ("1.0.0",)}), LOCK),
        Case(_locked(package("python", "pip")), LOCK),  # content.package-managers reports it
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
        Case(
            _locked(_vendored("wheel", f"{SITE_PACKAGES}/setuptools/_vendor/wheel.dist-info/M")),
            LOCK,
        ),
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
        with_programs("usr/bin/npm"),  # in `absent`: content.forbidden reports it
        Case(with_programs("usr/bin/pip"), service_contract(absent=["python:pip"])),
        Case(
            with_programs("usr/bin/npm"),
            service_contract(absent=[], programs={"npm": {"answers": "10"}}),
        ),
        with_programs("usr/bin/adapt", "usr/bin/pipe", "usr/bin/uvicorn", "usr/bin/aptly"),
        with_programs("etc/cron.daily/dpkg", "usr/share/bash-completion/completions/pip"),
        with_files(file("usr/bin/pip", mode=0o644), file("app/pip", kind="folder")),
        with_files(_link("usr/local/bin/yarn", "../lib/node_modules/yarn/bin/yarn.js")),
        with_files(file("usr/lib/python3.11/ensurepip/__init__.py")),
        with_files(file("usr/lib/python3.11/ensurepip/_bundled/setuptools-65.5-py3-none-any.whl")),
        Case(with_files(WHEEL), service_contract(absent=["python:pip"])),
        image(layers=(layer(file("usr/bin/apt")), layer(file("usr/bin/.wh.apt"), name="b"))),
        # dpkg keeps the record of a package whose programs were removed
        with_packages(package("dpkg", "apt"), package("dpkg", "dpkg")),
        Case(with_packages(package("python", "pip")), service_contract(absent=["pip"])),
        Case(with_packages(package("python", "pip")), service_contract(absent=["python:pip"])),
        with_packages(package("python", "pip-tools"), package("npm", "npm-run-all")),
    ],
    "content.required": [
        image(),
        Case(with_files(*LICENCES), REQUIRED),
        Case(
            with_files(_link("app/LICENSE", "/app/COPYING"), file("app/COPYING"), LICENCES[1]),
            REQUIRED,
        ),
    ],
    "content.tests": [
        Case(_code("app/testimonials/latest.json", "app/latest.py", "app/contest.py"), IN_APP),
        Case(_code("app/testing/client.py", "app/protest.py", "app/test/index.html"), IN_APP),
        _code("app/tests/x.py"),  # the working directory is unknown
        _code(
            f"{SITE_PACKAGES}/annotated_types/test_cases.py",
            f"{SITE_PACKAGES}/starlette/testclient.py",
        ),
        _code(f"{SITE_PACKAGES}/numpy/testing/overrides.py", size=300_000),
        _code(f"{SITE_PACKAGES}/django/test/client.py", size=300_000),  # it helps to write tests
        _code(f"{SITE_PACKAGES}/jinja2/tests.py", size=300_000),
        _code(f"{SITE_PACKAGES}/greenlet/tests/test_a.py", size=99_999),  # below the limit
        Case(_code(f"{STDLIB}/unittest/case.py", f"{STDLIB}/test/support.py"), IN_APP),
        Case(image(layers=(layer(file("tests/a.py")),)), service_contract(workdir="/")),
        Case(
            with_files(file("app/x/tests", kind="folder"), file("app/tests/x", kind="folder")),
            IN_APP,
        ),
        Case(_code("srv/tests/a.py", "apple/tests/a.py"), IN_APP),
    ],
    "content.toolchain": [
        with_programs("usr/bin/cat", "usr/bin/makeinfo", "usr/bin/gcc.txt", "usr/bin/basename"),
        with_programs("usr/lib/python3.11/as.py", "usr/share/doc/make"),
        image(layers=(layer(file("usr/bin/make", mode=0o644)),)),
        image(layers=(layer(file("etc/cc", kind="folder")),)),
        image(layers=(layer(file("usr/bin/gcc")), layer(file("usr/bin/.wh.gcc")))),
    ],
    "content.vcs": [
        _code("app/git/HEAD", "app/.gitignore", "app/.github/workflows/x.yml", "app/.gitmodules"),
        _code("usr/share/git-core/templates/HEAD", "app/x.git/HEAD"),
    ],
}
