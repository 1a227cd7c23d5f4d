"""Tests of the user's cache folder: used only if no one else can write it."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from imageproof import user_cache
from imageproof.errors import MachineError
from imageproof.user_cache import (
    MAX_AGE_SECONDS,
    locks_folder,
    open_folder,
    read_file,
    remove_folder,
)


@pytest.fixture
def caches(tmp_path, monkeypatch) -> Path:
    """Return the folder of all of the user's caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(user_cache.console, "warn", lines.append)
    user_cache._report.cache_clear()
    return lines


def _opened(project: Path) -> Path:
    folder = open_folder(project)
    assert folder is not None
    return folder


def test_folder_is_the_users_own_and_outside_the_repository(caches, project):
    folder = _opened(project)
    assert folder.parent == caches / "imageproof"
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(project.iterdir()) == []


def test_each_project_has_one_folder_whatever_the_path_to_it(caches, project, tmp_path):
    (tmp_path / "link").symlink_to(project)
    assert open_folder(tmp_path / "link") == open_folder(project)
    (tmp_path / "other").mkdir()
    assert open_folder(tmp_path / "other") != open_folder(project)


@pytest.mark.parametrize("xdg", [None, "", "relative/path"])
def test_default_is_the_cache_folder_of_home(project, tmp_path, monkeypatch, xdg):
    monkeypatch.setenv("HOME", str(tmp_path))
    if xdg is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert _opened(project).parent == tmp_path / ".cache/imageproof"


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_nothing_is_cached_without_home(project, monkeypatch, warnings, home):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert [open_folder(project), open_folder(project)] == [None, None]
    assert warnings == ["nothing is cached: HOME and XDG_CACHE_HOME are not set"]


def test_place_that_cannot_be_a_folder_is_reported_once(project, caches, warnings):
    caches.write_text("a file")
    assert [open_folder(project), open_folder(project)] == [None, None]
    assert len(warnings) == 1
    assert str(caches) in warnings[0]


@pytest.mark.parametrize("below", ["", ".cache", ".imageproof"])
def test_folder_in_the_project_is_refused(project, monkeypatch, warnings, below):
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / below))
    assert open_folder(project) is None
    assert "inside the repository" in warnings[0]


def test_folder_in_the_repository_around_the_project_is_refused(tmp_path, monkeypatch, warnings):
    """CI services keep caches in the checkout, where a pull request can commit them."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    assert open_folder(tmp_path / "shop") is None
    assert "inside the repository" in warnings[0]


def test_link_into_the_repository_is_refused(project, caches, warnings):
    (project / "caches").mkdir()
    caches.symlink_to(project / "caches")
    assert open_folder(project) is None
    assert "inside the repository" in warnings[0]


def test_cache_folder_on_another_disk_may_be_a_link(project, caches, tmp_path):
    (tmp_path / "disk").mkdir()
    caches.symlink_to(tmp_path / "disk")
    assert _opened(project).parent == tmp_path / "disk/imageproof"


@pytest.mark.parametrize("level", ["home", "folder"])
def test_link_or_file_in_place_of_the_folder_is_refused(project, caches, tmp_path, warnings, level):
    folder = _opened(project)
    place = folder if level == "folder" else folder.parent
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    assert open_folder(project) is None
    assert "is not a folder" in warnings[0]


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("level", ["home", "folder"])
def test_folder_that_others_may_write_is_refused(project, caches, warnings, level, mode):
    folder = _opened(project)
    (folder if level == "folder" else folder.parent).chmod(mode)
    assert open_folder(project) is None
    assert "others may write it" in warnings[0]


def test_folder_of_another_user_is_refused(project, caches, monkeypatch, warnings):
    _opened(project)
    monkeypatch.setattr(user_cache, "os", _as_another_user())
    assert open_folder(project) is None
    assert "belongs to another user" in warnings[0]


def test_nothing_is_created_in_the_home_of_another_user(project, caches, monkeypatch, warnings):
    """`sudo` may keep HOME: folders of root there would lock the user out."""
    monkeypatch.setattr(user_cache, "os", _as_another_user())
    assert open_folder(project) is None
    assert not caches.exists()
    assert "belongs to another user" in warnings[0]


def _as_another_user() -> SimpleNamespace:
    names = {name: getattr(os, name) for name in dir(os)}
    return SimpleNamespace(**{**names, "geteuid": lambda: os.geteuid() + 1})


# --- files


@pytest.fixture
def file(caches, project) -> Path:
    path = _opened(project) / "facts"
    path.write_bytes(b"facts")
    path.chmod(0o600)
    return path


def test_own_file_is_read(file):
    assert read_file(file) == b"facts"
    assert read_file(file.with_name("missing")) is None


def test_link_pipe_and_folder_are_not_read(file):
    (file.parent / "link").symlink_to(file)
    os.mkfifo(file.parent / "pipe")
    (file.parent / "folder").mkdir()
    assert [read_file(file.parent / name) for name in ("link", "pipe", "folder")] == [None] * 3


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_is_not_read(file, mode):
    file.chmod(mode)
    assert read_file(file) is None


def test_file_of_another_user_is_not_read(file, monkeypatch):
    monkeypatch.setattr(user_cache, "os", _as_another_user())
    assert read_file(file) is None


# --- removal


def test_removed_folder_takes_only_its_project_along(caches, project, tmp_path):
    (tmp_path / "other").mkdir()
    folder, other = _opened(project), _opened(tmp_path / "other")
    remove_folder(project)
    assert not folder.exists()
    assert other.exists()


def test_old_files_of_all_projects_are_removed(file, project, tmp_path):
    (tmp_path / "gone").mkdir()
    other = _opened(tmp_path / "gone")
    (other / "old").write_text("")
    old = time.time() - MAX_AGE_SECONDS - 60
    os.utime(other / "old", (old, old))
    (tmp_path / "gone").rmdir()
    user_cache._remove_old_files.cache_clear()
    assert open_folder(project) == file.parent
    assert not other.exists()
    assert file.exists()


# --- locks


def test_locks_are_beside_the_caches(caches):
    assert locks_folder() == caches / "imageproof-locks"


def test_locks_of_a_user_without_a_home_are_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/proc/no-folder-can-be-made-here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = locks_folder()
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(MachineError, match="others may write it"):
        locks_folder()
