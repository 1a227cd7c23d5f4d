"""imageproof.build.git: the commit, and whether the files are what it has."""

from __future__ import annotations

import subprocess

import pytest

from imageproof.build.git import git, is_edited, revision_of


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@example.test")
    (tmp_path / "file").write_text("first")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_the_revision_is_the_commit_and_an_edited_file_is_noticed(repository):
    assert revision_of(repository) == (git(repository, "log", "-1", "--format=%H") or "").strip()
    assert len(revision_of(repository)) == 40
    (repository / "new").write_text("")
    assert not is_edited(repository)
    (repository / "file").write_text("second")
    assert is_edited(repository)


def test_outside_git_and_without_it_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (revision_of(tmp_path), is_edited(tmp_path)) == ("", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (revision_of(tmp_path), is_edited(tmp_path)) == ("", False)
