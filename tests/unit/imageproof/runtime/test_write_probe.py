"""Tests of the write probe: it finds the paths that a user can write, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from imageproof.runtime import write_probe

IS_ROOT = os.geteuid() == 0
IDS = (10001, 10001) if IS_ROOT else (os.geteuid(), os.getegid())
STATUS = {"Uid": f"0\t{IDS[0]}\t0\t0", "Gid": f"0\t{IDS[1]}\t0\t0", "Groups": ""}
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")


class Tree:
    """A container's root file system, and a /proc that leads to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "root"
        self.folder.mkdir()
        self.proc = folder / "proc"
        (self.proc / "1").mkdir(parents=True)
        (self.proc / "1/root").symlink_to(self.folder)
        self.mounts = ["/ rw - overlay"]

    def add(self, path: str, mode: int = 0o444, content: str | None = "x") -> Path:
        """Create a file; without content, a folder."""
        added = self.folder / path
        added.parent.mkdir(parents=True, exist_ok=True)
        added.mkdir() if content is None else added.write_text(content)
        added.chmod(mode)
        return added

    def probe(self, *writable: str, throwaway: bool = True, seconds: float = 5) -> dict:
        for folder in self.folder.rglob("*"):
            if (
                folder.is_dir()
                and not folder.is_symlink()
                and folder.stat().st_mode & 0o777 == 0o755
            ):
                folder.chmod(0o555)
        self.folder.chmod(0o555)
        lines = [f"1 0 0:1 / {mount}\n" for mount in self.mounts]
        (self.proc / "1/mountinfo").write_text("".join(lines))
        try:
            return write_probe.try_writes(self.proc, STATUS, list(writable), seconds, throwaway)
        finally:
            self.folder.chmod(0o755)

    def snapshot(self) -> dict[str, tuple[int, int, bytes]]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.read_bytes())
            if path.is_file()
            else (path.lstat().st_mtime_ns, path.lstat().st_mode, b"")
            for path in sorted(self.folder.rglob("*"))
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_writable_files_and_folders_are_found(tree):
    tree.add("app/code.py", 0o666)
    tree.add("app/other.py")
    tree.add("app/data", 0o777, None)
    tree.add("etc/passwd")
    result = tree.probe()
    assert result["paths"] == ["/app/code.py", "/app/data"]
    assert result["user"] == f"{IDS[0]}:{IDS[1]}"
    assert result["tried"] == 7  # three folders, the root, three files
    assert result["incomplete"] == ""
    assert not result["read_only"]


def test_probe_changes_no_file_and_leaves_none(tree):
    tree.add("app/code.py", 0o666, "print()")
    tree.add("app/data", 0o777, None)
    tree.probe()
    before = tree.snapshot()
    tree.probe()
    after = tree.snapshot()
    assert after.keys() == before.keys()
    files = {path: entry for path, entry in after.items() if entry[2]}
    assert files == {path: before[path] for path in files}


def test_files_of_a_running_container_are_not_opened(tree):
    tree.add("app/code.py", 0o666)
    tree.add("app/data", 0o777, None)
    tree.probe(throwaway=False)
    before = tree.snapshot()
    assert tree.probe(throwaway=False)["paths"] == ["/app/code.py", "/app/data"]
    assert tree.snapshot() == before


def test_nothing_is_tried_below_an_allowed_path(tree):
    tree.add("tmp", 0o777, None)
    tree.add("tmp/many/files", 0o666)
    result = tree.probe("/tmp")
    assert result["paths"] == ["/tmp"]
    assert result["tried"] == 2


def test_nothing_is_tried_below_a_writable_folder(tree):
    tree.add("app/data", 0o777, None)
    tree.add("app/data/a/b", 0o666)
    tree.add("app/data/c", 0o666)
    assert tree.probe()["paths"] == ["/app/data"]


def test_allowed_file_is_not_tried(tree):
    tree.add("var/state", 0o666)
    assert tree.probe("/var/state")["paths"] == []


def test_of_the_engines_mounts_only_shared_memory_is_tried(tree):
    for name in ("proc", "sys", "dev"):
        tree.add(name, 0o777, None)
    tree.add("dev/shm", 0o777, None)
    tree.add("dev/shm/file", 0o666)
    assert tree.probe()["paths"] == ["/dev/shm"]


def test_kernel_file_systems_are_skipped_at_any_path(tree):
    tree.add("host/proc", 0o777, None)
    tree.add("host/a b", 0o777, None)
    tree.mounts += ["/host/proc rw - proc", r"/host/a\040b rw - sysfs"]
    assert tree.probe()["paths"] == []


def test_links_are_not_followed(tree, tmp_path):
    (tmp_path / "outside").mkdir(mode=0o777)
    (tmp_path / "outside").chmod(0o777)
    (tmp_path / "outside/file").write_text("x")
    (tmp_path / "outside/file").chmod(0o666)
    tree.add("app", 0o755, None)
    (tree.folder / "app/folder").symlink_to(tmp_path / "outside")
    (tree.folder / "app/file").symlink_to(tmp_path / "outside/file")
    assert tree.probe()["paths"] == []


def test_pipes_are_not_opened(tree):
    tree.add("run", 0o755, None)
    os.mkfifo(tree.folder / "run/pipe", 0o666)
    assert tree.probe()["paths"] == []


@needs_root
def test_folder_that_cannot_be_listed_is_tried(tree):
    tree.add("secret", 0o711, None)
    tree.add("secret/file", 0o666)
    assert tree.probe()["paths"] == ["/secret/file"]


@needs_root
def test_folder_below_a_closed_folder_is_not_writable(tree):
    tree.add("root", 0o700, None)
    tree.add("root/open", 0o777, None)
    assert tree.probe()["paths"] == []


@needs_root
def test_probe_restores_its_own_ids(tree):
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    tree.probe()
    write_probe.try_writes(tree.proc, {**STATUS, "Groups": "4242"}, [], 5, True)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


@needs_root
def test_writes_are_tried_as_root_for_root(tree):
    status = {"Uid": "0\t0\t0\t0", "Gid": "0\t0\t0\t0"}
    tree.add("app/code.py", 0o644)
    assert tree.probe()["paths"] == []
    assert write_probe.try_writes(tree.proc, status, [], 5, True)["paths"] == ["/"]


@needs_root
def test_supplementary_groups_are_used(tree):
    file = tree.add("app/code.py", 0o464)
    os.chown(file, 0, 4242)
    tree.probe()
    grouped = {**STATUS, "Groups": "4242 "}
    assert write_probe.try_writes(tree.proc, grouped, [], 5, True)["paths"] == ["/app/code.py"]


def test_file_name_that_is_not_utf_8_is_escaped(tree):
    folder = tree.add("app", 0o755, None)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).mkdir(mode=0o777)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).chmod(0o777)
    result = tree.probe()
    assert result["paths"] == ["/app/\\xff"]
    json.dumps(result).encode()


def test_walk_stops_at_its_limits(tree, monkeypatch):
    for number in range(9):
        tree.add(f"f{number}/file", 0o666)
    assert "stopped after" in tree.probe(seconds=0)["incomplete"]
    monkeypatch.setattr(write_probe, "MAX_ENTRIES", 5)
    assert "stopped after" in tree.probe()["incomplete"]


def test_number_of_reported_paths_is_limited(tree, monkeypatch):
    monkeypatch.setattr(write_probe, "MAX_PATHS", 3)
    for number in range(5):
        tree.add(f"app/{number}", 0o666)
    result = tree.probe()
    assert len(result["paths"]) == 3
    assert "more than 3" in result["incomplete"]


def test_too_long_path_is_reported_as_not_tried(tree):
    folder = os.open(tree.folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, 0o777, dir_fd=folder)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    lines = "1 0 0:1 / / rw - overlay\n"
    (tree.proc / "1/mountinfo").write_text(lines)
    result = write_probe.try_writes(tree.proc, STATUS, [], 5, True)
    subprocess.run(["rm", "-rf", str(tree.folder)], check=True)
    assert "too long" in result["incomplete"]


def test_writable_program_is_found_while_it_runs(tree):
    """The kernel refuses to open a running program for writing: ETXTBSY."""
    program = tree.add("bin/sleep", 0o777)
    program.write_bytes(Path("/bin/sleep").read_bytes())
    with subprocess.Popen([program, "60"]) as process:
        try:
            assert tree.probe()["paths"] == ["/bin/sleep"]
        finally:
            process.kill()
