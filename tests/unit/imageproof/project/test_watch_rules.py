"""Tests of the `develop` sections: which rules they give, and which files each rule watches."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from imageproof.errors import ConfigurationError
from imageproof.project.watch_rules import WatchRule, changed_paths, read_rules


def _model(root: Path, *entries: dict[str, Any], **service: Any) -> dict[str, Any]:
    build = {"context": str(root), "dockerfile": "Dockerfile"}
    shop = {"image": "shop:1", "build": build, "develop": {"watch": entries}, **service}
    return {"services": {"shop": shop}}


def _rebuild(path: Path, **keys: Any) -> dict[str, Any]:
    return {"action": "rebuild", "path": str(path), **keys}


def _write(root: Path, *files: str) -> None:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def _watched(rule: WatchRule, root: Path) -> list[str]:
    return sorted(os.path.relpath(path, root) for path in rule.snapshot())


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        ({}, "no service has a `develop: watch:` section"),
        ({"services": {"shop": {"develop": {}}}}, "no service has"),
        (
            _model(Path("/x"), {"action": "sync", "path": "/x/a"}),
            "/x/a: the action is 'sync'",
        ),
        (_model(Path("/x"), {"action": "sync+exec", "path": "/x/a"}), "rebuild and restart"),
        (_model(Path("/x"), _rebuild(Path("/x/a")), build=None), "has no `build:`"),
        (_model(Path("/x"), _rebuild(Path("/x/a")), image=None), "has no `image:`"),
    ],
)
def test_rule_that_cannot_be_applied_is_refused(model, cause):
    with pytest.raises(ConfigurationError, match=cause) as caught:
        read_rules(model)
    assert caught.value.hint


def test_rules_of_all_services_are_read(tmp_path):
    model = _model(tmp_path, _rebuild(tmp_path / "app"), _rebuild(tmp_path / "lock"))
    restart = {"action": "restart", "path": "/etc/shop"}
    model["services"]["proxy"] = {"image": "proxy:1", "develop": {"watch": [restart]}}
    model["services"]["cache"] = {"image": "cache:1"}
    rules = [(rule.service, rule.action, rule.path.name) for rule in read_rules(model)]
    assert rules == [
        ("shop", "rebuild", "app"),
        ("shop", "rebuild", "lock"),
        ("proxy", "restart", "shop"),
    ]


def test_ignored_temporary_and_unbuilt_files_are_not_watched(tmp_path):
    _write(tmp_path, "app/a.py", "app/deep/b.py", "app/own/c.py", "app/m.pyc", "other/d.py")
    _write(tmp_path, "app/.a.py.swp", "app/a.py~", "app/.#a.py", "app/.git/HEAD", "Dockerfile")
    (tmp_path / ".dockerignore").write_text("*\n!app\n**/*.pyc\n")
    (rule,) = read_rules(_model(tmp_path, _rebuild(tmp_path, ignore=["app/own/"])))
    # BuildKit reads the Dockerfile in any case.
    assert _watched(rule, tmp_path) == ["Dockerfile", "app/a.py", "app/deep/b.py"]
    (tmp_path / "Dockerfile.dockerignore").write_text("app\n")
    (rule,) = read_rules(_model(tmp_path, _rebuild(tmp_path, ignore="**/.dockerignore")))
    assert _watched(rule, tmp_path) == ["Dockerfile", "Dockerfile.dockerignore", "other/d.py"]


def test_included_files_only_are_watched(tmp_path):
    _write(tmp_path, "app/a.py", "app/a.css", "app/x/b.py")
    (rule,) = read_rules(_model(tmp_path, _rebuild(tmp_path / "app", include=["**/*.py"])))
    assert _watched(rule, tmp_path) == ["app/a.py", "app/x/b.py"]


def test_files_outside_the_build_context_are_not_judged_by_its_dockerignore(tmp_path):
    _write(tmp_path, "web/Dockerfile", "shared/a.py")
    (tmp_path / "web/.dockerignore").write_text("**\n")
    (rule,) = read_rules(_model(tmp_path / "web", _rebuild(tmp_path / "shared")))
    assert _watched(rule, tmp_path) == ["shared/a.py"]


def _rename_over(file: Path) -> None:
    """Write a file as many editors do."""
    (file.parent / "new").write_text("x")
    (file.parent / "new").rename(file)


def _recreate_folder(file: Path) -> None:
    shutil.rmtree(file.parent)
    _write(file.parent, file.name)


@pytest.mark.parametrize(
    ("change", "is_change"),
    [
        (lambda file: file.write_text("yy"), True),
        (lambda file: os.utime(file, (1, 1)), True),
        (lambda file: file.chmod(0o755), True),
        (_rename_over, True),
        (_recreate_folder, True),
        (lambda file: file.unlink(), True),
        (lambda file: shutil.rmtree(file.parent), True),
        (lambda file: file.read_text(), False),
        (lambda file: (file.parent / ".a.py.swp").write_text("x"), False),
    ],
)
def test_change_of_a_watched_file_is_noticed(tmp_path, change, is_change):
    _write(tmp_path, "app/a.py", "app/b.py")
    os.utime(tmp_path / "app/a.py", (0, 0))
    rule = WatchRule("shop", "rebuild", tmp_path / "app")
    before = rule.snapshot()
    change(tmp_path / "app/a.py")
    assert (str(tmp_path / "app/a.py") in changed_paths(before, rule.snapshot())) is is_change


def test_path_that_appears_later_is_noticed(tmp_path):
    rule = WatchRule("shop", "rebuild", tmp_path / "lock.txt")
    before = rule.snapshot()
    assert before == {}
    _write(tmp_path, "lock.txt")
    assert changed_paths(before, rule.snapshot()) == {str(tmp_path / "lock.txt")}


def test_links_to_folders_are_not_followed(tmp_path):
    _write(tmp_path, "app/a.py")
    (tmp_path / "app/loop").symlink_to(tmp_path / "app")
    rule = WatchRule("shop", "rebuild", tmp_path / "app")
    assert _watched(rule, tmp_path) == ["app/a.py", "app/loop"]
