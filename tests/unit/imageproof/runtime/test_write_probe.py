"""imageproof.runtime.write_probe: what a user can write is found by trying, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from imageproof.runtime import write_probe

ROOT = os.geteuid() == 0
IDS = (10001, 10001) if ROOT else (os.geteuid(), os.getegid())
STATUS = {"Uid": f"0\t{IDS[0]}\t0\t0", "Gid": f"0\t{IDS[1]}\t0\t0", "Groups": ""}
becomes = pytest.mark.skipif(not ROOT, reason="only root can become another user")


class Tree:
    """A container's root file system, and the /proc that leads to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "root"
        self.folder.mkdir()
        self.proc = folder / "proc"
        (self.proc / "1").mkdir(parents=True)
        (self.proc / "1/root").symlink_to(self.folder)
        self.mounts = ["/ rw - overlay"]

    def add(self, path: str, mode: int = 0o444, content: str | None = "x") -> Path:
        """A file; a folder, where there is no content."""
        whole = self.folder / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.mkdir() if content is None else whole.write_text(content)
        whole.chmod(mode)
        return whole

    def try_(self, *writable: str, throwaway: bool = True, seconds: float = 5) -> dict:
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
            return write_probe.writes(self.proc, STATUS, list(writable), seconds, throwaway)
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


def test_files_and_folders_that_take_writes_are_found(tree):
    tree.add("app/code.py", 0o666)
    tree.add("app/other.py")
    tree.add("app/data", 0o777, None)
    tree.add("etc/passwd")
    found = tree.try_()
    assert found["paths"] == ["/app/code.py", "/app/data"]
    assert found["user"] == f"{IDS[0]}:{IDS[1]}"
    assert found["tried"] == 7  # three folders, the root, three files
    assert found["cut"] == ""
    assert not found["read_only"]


def test_nothing_is_changed_and_nothing_is_left(tree):
    tree.add("app/code.py", 0o666, "print()")
    tree.add("app/data", 0o777, None)
    tree.try_()
    before = tree.snapshot()
    tree.try_()
    after = tree.snapshot()
    assert after.keys() == before.keys()
    files = {path: entry for path, entry in after.items() if entry[2]}
    assert files == {path: before[path] for path in files}


def test_where_the_root_takes_writes_a_running_container_is_asked_and_not_touched(tree):
    tree.add("app/code.py", 0o666)
    tree.add("app/data", 0o777, None)
    tree.try_(throwaway=False)
    before = tree.snapshot()
    assert tree.try_(throwaway=False)["paths"] == ["/app/code.py", "/app/data"]
    assert tree.snapshot() == before


def test_below_what_may_be_written_nothing_is_tried(tree):
    tree.add("tmp", 0o777, None)
    tree.add("tmp/many/files", 0o666)
    found = tree.try_("/tmp")
    assert found["paths"] == ["/tmp"]
    assert found["tried"] == 2


def test_a_folder_that_takes_writes_says_enough_of_what_is_in_it(tree):
    tree.add("app/data", 0o777, None)
    tree.add("app/data/a/b", 0o666)
    tree.add("app/data/c", 0o666)
    assert tree.try_()["paths"] == ["/app/data"]


def test_a_file_that_may_be_written_is_not_tried(tree):
    tree.add("var/state", 0o666)
    assert tree.try_("/var/state")["paths"] == []


def test_the_engines_own_folders_are_left_alone_but_for_shared_memory(tree):
    for name in ("proc", "sys", "dev"):
        tree.add(name, 0o777, None)
    tree.add("dev/shm", 0o777, None)
    tree.add("dev/shm/left", 0o666)
    assert tree.try_()["paths"] == ["/dev/shm"]


def test_file_systems_of_the_kernel_are_left_alone_wherever_they_are(tree):
    tree.add("host/proc", 0o777, None)
    tree.add("host/a b", 0o777, None)
    tree.mounts += ["/host/proc rw - proc", r"/host/a\040b rw - sysfs"]
    assert tree.try_()["paths"] == []


def test_links_are_not_followed(tree, tmp_path):
    (tmp_path / "outside").mkdir(mode=0o777)
    (tmp_path / "outside").chmod(0o777)
    (tmp_path / "outside/file").write_text("x")
    (tmp_path / "outside/file").chmod(0o666)
    tree.add("app", 0o755, None)
    (tree.folder / "app/folder").symlink_to(tmp_path / "outside")
    (tree.folder / "app/file").symlink_to(tmp_path / "outside/file")
    assert tree.try_()["paths"] == []


def test_what_is_no_file_is_not_opened(tree):
    tree.add("run", 0o755, None)
    os.mkfifo(tree.folder / "run/pipe", 0o666)
    assert tree.try_()["paths"] == []


@becomes
def test_a_folder_that_may_be_entered_but_not_listed_is_tried(tree):
    tree.add("secret", 0o711, None)
    tree.add("secret/file", 0o666)
    assert tree.try_()["paths"] == ["/secret/file"]


@becomes
def test_what_lies_behind_a_closed_folder_is_out_of_reach(tree):
    tree.add("root", 0o700, None)
    tree.add("root/open", 0o777, None)
    assert tree.try_()["paths"] == []


@becomes
def test_who_looked_is_who_it_was_afterwards(tree):
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    tree.try_()
    write_probe.writes(tree.proc, {**STATUS, "Groups": "4242"}, [], 5, True)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


@becomes
def test_root_is_tried_as_root(tree):
    status = {"Uid": "0\t0\t0\t0", "Gid": "0\t0\t0\t0"}
    tree.add("app/code.py", 0o644)
    assert tree.try_()["paths"] == []
    assert write_probe.writes(tree.proc, status, [], 5, True)["paths"] == ["/"]


@becomes
def test_groups_count(tree):
    file = tree.add("app/code.py", 0o464)
    os.chown(file, 0, 4242)
    tree.try_()
    grouped = {**STATUS, "Groups": "4242 "}
    assert write_probe.writes(tree.proc, grouped, [], 5, True)["paths"] == ["/app/code.py"]


def test_a_name_of_any_bytes_can_be_told(tree):
    folder = tree.add("app", 0o755, None)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).mkdir(mode=0o777)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).chmod(0o777)
    found = tree.try_()
    assert found["paths"] == ["/app/\\xff"]
    json.dumps(found).encode()


def test_a_walk_without_end_is_cut_and_says_so(tree, monkeypatch):
    for number in range(9):
        tree.add(f"f{number}/file", 0o666)
    assert "no end" in tree.try_(seconds=0)["cut"]
    monkeypatch.setattr(write_probe, "MOST_ENTRIES", 5)
    assert "no end after" in tree.try_()["cut"]


def test_of_very_many_paths_some_are_told(tree, monkeypatch):
    monkeypatch.setattr(write_probe, "MOST_PATHS", 3)
    for number in range(5):
        tree.add(f"app/{number}", 0o666)
    found = tree.try_()
    assert len(found["paths"]) == 3
    assert "more than 3" in found["cut"]


def test_a_path_that_is_too_long_is_not_passed_over_in_silence(tree):
    here = os.open(tree.folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, 0o777, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    lines = "1 0 0:1 / / rw - overlay\n"
    (tree.proc / "1/mountinfo").write_text(lines)
    found = write_probe.writes(tree.proc, STATUS, [], 5, True)
    subprocess.run(["rm", "-rf", str(tree.folder)], check=True)
    assert "too long" in found["cut"]


def test_a_program_that_runs_is_told_where_it_could_be_written(tree):
    """The kernel refuses to open it for writing as long as it runs: ETXTBSY."""
    program = tree.add("bin/sleep", 0o777)
    program.write_bytes(Path("/bin/sleep").read_bytes())
    with subprocess.Popen([program, "60"]) as process:
        try:
            assert tree.try_()["paths"] == ["/bin/sleep"]
        finally:
            process.kill()
