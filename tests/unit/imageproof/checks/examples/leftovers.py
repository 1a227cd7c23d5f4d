"""Faults and near misses of what a build leaves behind, and of compiled Python."""

from __future__ import annotations

from typing import Any

from tests.support.sample_facts import SITE, Case, file, having, image, layer, service_contract

STDLIB = "usr/lib/python3.11"
ALL, NONE = service_contract(bytecode="all", workdir="/app"), service_contract(bytecode="none")
AT_HOME = service_contract(workdir="/app")
PYTHON = file("usr/bin/python3.11")


def _code(*paths: str, **changes: Any) -> Any:
    return having(PYTHON, *(file(path, mode=0o644, **changes) for path in paths))


def _module(path: str, tag: str = "cpython-311") -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return path, f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "content.caches": [
        *(
            (_code(path), said)
            for path, said in (
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
        (_code("app/__pycache__/gone.cpython-311.pyc"), "modules that are not there"),
        (_code("__pycache__/gone.cpython-311.opt-2.pyc"), "modules that are not there"),
    ],
    "content.vcs": [
        (_code("app/.git/HEAD", "app/.git/objects/a"), "/app/.git: version control, 2.0 kB"),
        (_code("srv/lib/.hg/store"), "/srv/lib/.hg"),
        (_code("app/.svn/entries"), "/app/.svn"),
        (_code("app/.git"), "/app/.git"),  # of a worktree or submodule: it names the real one
    ],
    "content.tests": [
        (_code("app/kiosk/tests/orders.json"), "/app/kiosk/tests: tests", AT_HOME),
        (_code("app/test_shop.py"), "/app/test_shop.py", AT_HOME),
        (_code("app/conftest.py"), "/app/conftest.py", AT_HOME),
        (_code("app/src/shop.spec.ts"), "/app/src/shop.spec.ts", AT_HOME),
        (_code("app/test/test_a.py", "app/test/data"), "/app/test: tests, 2.0 kB", AT_HOME),
        (image(workdir="/srv", layers=(layer(file("srv/tests/a.py")),)), "/srv/tests"),
        (_code(f"{SITE}/numpy/core/tests/test_a.py", size=100_000), "/numpy/core/tests"),
        (_code(f"{SITE}/tornado/test/web_test.py", size=150_000), "/tornado/test"),
    ],
    "content.bytecode": [
        (_code("app/late.py"), "not compiled: /app/late.py", ALL),
        (_code(f"{SITE}/x/y.py"), f"/{SITE}/x/y.py", ALL),
        (_code(f"{STDLIB}/json/tool.py"), f"/{STDLIB}/json/tool.py", ALL),
        (_code(*_module("app/a.py", "cpython-312")), "not compiled: /app/a.py", ALL),
        (_code(*_module(f"{SITE}/a.py", "cpython-311.opt-1")), "not compiled", ALL),
        (having(file("app/a.py")), "not compiled: /app/a.py", ALL),
        (_code(*_module("app/a.py")), "compiled Python: /app/__pycache__", NONE),
        (_code("app/a.pyc"), "compiled Python: /app/a.pyc", NONE),
    ],
}

FINE: dict[str, list[Any]] = {
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
        having(file("root/.cache/pip/http", kind="folder", size=4096)),
        Case(_code("app/__pycache__/gone.cpython-311.pyc"), NONE),  # content.bytecode tells it
        image(layers=(layer(file("var/cache/apt/x")), layer(file("var/.wh.cache"), name="b"))),
    ],
    "content.vcs": [
        _code("app/git/HEAD", "app/.gitignore", "app/.github/workflows/x.yml", "app/.gitmodules"),
        _code("usr/share/git-core/templates/HEAD", "app/x.git/HEAD"),
    ],
    "content.tests": [
        Case(_code("app/testimonials/latest.json", "app/latest.py", "app/contest.py"), AT_HOME),
        Case(_code("app/testing/client.py", "app/protest.py", "app/test/index.html"), AT_HOME),
        _code("app/tests/x.py"),  # nobody says where the program is
        _code(f"{SITE}/annotated_types/test_cases.py", f"{SITE}/starlette/testclient.py"),
        _code(f"{SITE}/numpy/testing/overrides.py", size=300_000),
        _code(f"{SITE}/django/test/client.py", size=300_000),  # it is for other people's tests
        _code(f"{SITE}/jinja2/tests.py", size=300_000),
        _code(f"{SITE}/greenlet/tests/test_a.py", size=99_999),  # not worth a line
        Case(_code(f"{STDLIB}/unittest/case.py", f"{STDLIB}/test/support.py"), AT_HOME),
        Case(image(layers=(layer(file("tests/a.py")),)), service_contract(workdir="/")),
        Case(
            having(file("app/x/tests", kind="folder"), file("app/tests/x", kind="folder")), AT_HOME
        ),
        Case(_code("srv/tests/a.py", "apple/tests/a.py"), AT_HOME),
    ],
    "content.bytecode": [
        _code("app/a.py"),
        _code(*_module("app/a.py")),
        Case(_code(*_module("app/a.py"), *_module(f"{SITE}/b/c.py")), ALL),
        Case(_code(*_module(f"{STDLIB}/os.py"), "usr/share/x.py", "etc/python3.11/site.py"), ALL),
        Case(_code("app/page/late.py.txt", "app/node_modules/node-gyp/gyp/gyp_main.py"), ALL),
        Case(_code(f"{STDLIB}/lib2to3/tests/data/py2_test.py", "app/my-script.py"), ALL),
        Case(_code("usr/local/lib/python3.12/a.pth", "app/a.pyi"), ALL),
        Case(_code("srv/a.py", "apple/a.py", f"{SITE}/x/LICENSE"), ALL),
        Case(
            _code("srv/a.py"), service_contract(bytecode="all")
        ),  # nobody says where the program is
        Case(_code(f"{SITE}/a.py"), service_contract(bytecode="any")),
        Case(
            having(file("app/a.py", kind="folder"), file("app/b.py", kind="link", target="x")), ALL
        ),
        # Without an interpreter any bytecode will do.
        Case(having(*map(file, _module("app/a.py", "pypy310"))), ALL),
        Case(_code("app/a.py", f"{SITE}/b.py"), NONE),
    ],
}
