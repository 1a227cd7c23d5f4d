"""Tests of the prune lists, and of code.py, which compiles the application."""

from __future__ import annotations

import ast
import runpy
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.build_scripts import BASE, EPOCH, closure
from tests.support.sample_facts import ROOT


def test_prune_list_ignores_reasons(tmp_path):
    file = tmp_path / "prune"
    file.write_text("# tests\ntest   # a suite\n\n*/tests\n   # a reason\n")
    stdlib = closure.sysconfig.get_path("stdlib")
    assert closure.prune_list(file, python=True) == [f"{stdlib}/test", f"{stdlib}/*/tests"]
    packages = ["*/site-packages/test", "*/site-packages/*/tests"]
    assert closure.prune_list(file, python=False) == packages
    assert closure.prune_list(None, python=True) == []


@pytest.mark.parametrize("name", ["stdlib.prune", "packages.prune"])
def test_every_prune_line_has_a_reason(name):
    lines = (BASE / name).read_text().splitlines()
    assert [line for line in lines if line and not line.partition("#")[2].strip()] == []


def test_every_packages_prune_line_matches_a_file():
    """The test environment has the images' packages and versions."""
    root = Path(closure.sysconfig.get_path("purelib"))
    installed = [str(path) for path in root.rglob("*")]
    globs = closure.prune_list(BASE / "packages.prune", python=False)
    assert [glob for glob in globs if not any(fnmatch(path, glob) for path in installed)] == []


def test_modules_that_the_services_import_are_not_pruned():
    globs = closure.prune_list(BASE / "stdlib.prune", python=True)
    stdlib = closure.sysconfig.get_path("stdlib")
    imported = set()
    for file in [*(ROOT / "app").rglob("*.py"), *(ROOT / "worker").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module)
    paths = [f"{stdlib}/{name.replace('.', '/')}" for name in imported]
    assert "json" in imported
    pruned = [p for p in paths for g in globs if fnmatch(p, g) or fnmatch(f"{p}.py", g)]
    assert pruned == []


# --- code.py


def test_code_is_compiled_before_the_smoke_test_runs_as_the_images_user(tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/one.py").write_text("N = 1\n")
    (tmp_path / "app/one.py").chmod(0o600)
    calls = []

    def execvp(program, arguments):
        compiled = tmp_path / f"app/__pycache__/one.{sys.implementation.cache_tag}.pyc"
        calls.append((program, arguments, compiled.exists()))

    monkeypatch.setattr("os.setgroups", lambda groups: calls.append(("groups", groups)))
    monkeypatch.setattr("os.setgid", lambda gid: calls.append(("gid", gid)))
    monkeypatch.setattr("os.setuid", lambda uid: calls.append(("uid", uid)))
    monkeypatch.setattr("os.execvp", execvp)
    monkeypatch.setitem(sys.modules, "closure", closure)
    command = ["python", "-m", "app", "--check"]
    monkeypatch.setattr(sys, "argv", ["code.py", "--user", "7:8", str(tmp_path), *command])
    runpy.run_path(str(BASE / "code.py"), run_name="__main__")
    # setuid comes last: without root, the other calls would fail.
    assert calls == [("groups", []), ("gid", 8), ("uid", 7), ("python", command, True)]
    file = (tmp_path / "app/one.py").stat()
    assert (file.st_mode & 0o777, file.st_mtime) == (0o644, EPOCH)
