"""Tests of the git commit and of uncommitted changes."""

from __future__ import annotations

import subprocess

import pytest

from imageproof.build.git import current_commit, has_uncommitted_changes, run_git


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "user")
        monkeypatch.setenv(f"{name}_EMAIL", "user@example.test")
    (tmp_path / "file").write_text("first")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_commit_is_read_and_a_change_of_a_tracked_file_is_detected(repository):
    assert (
        current_commit(repository)
        == (run_git(repository, "log", "-1", "--format=%H") or "").strip()
    )
    assert len(current_commit(repository)) == 40
    (repository / "new").write_text("")
    assert not has_uncommitted_changes(repository)
    (repository / "file").write_text("second")
    assert has_uncommitted_changes(repository)


def test_results_are_empty_outside_a_repository_and_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (current_commit(tmp_path), has_uncommitted_changes(tmp_path)) == ("", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (current_commit(tmp_path), has_uncommitted_changes(tmp_path)) == ("", False)
