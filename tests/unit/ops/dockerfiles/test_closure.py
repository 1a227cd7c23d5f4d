"""Tests of closure.py: it copies programs with their run-time dependencies only."""

from __future__ import annotations

import hashlib
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.build_scripts import CLOSURE_SCRIPT, EPOCH, closure


def _run_closure(
    out: Path, *arguments: object, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"} | variables
    return subprocess.run(
        [sys.executable, str(CLOSURE_SCRIPT), "--out", str(out), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


def _copy_of(path: Path, out: Path) -> Path:
    """Return the path of a file's copy below `out`."""
    return out / str(path)[1:]


def _contents(root: Path) -> dict[str, bytes]:
    """Return the content of each file by its path below `root`."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.fixture(scope="module")
def env_root(tmp_path_factory) -> Path:
    """Return a root with /usr/bin/env of this machine."""
    out = tmp_path_factory.mktemp("env") / "root"
    result = _run_closure(out, "/usr/bin/env")
    assert result.returncode == 0, result.stderr
    return out


# --- a real program


def test_program_is_copied_with_its_libraries_and_loader_and_runs(env_root):
    names = {path.name for path in env_root.rglob("*") if path.is_file()}
    assert {"env", "libc.so.6"} <= names
    loader = next(env_root.rglob("ld-linux*"))
    library = next(env_root.rglob("libc.so.6")).parent
    result = subprocess.run(
        [loader, "--library-path", library, env_root / "usr/bin/env", "-i", "A=1", "/usr/bin/env"],
        capture_output=True,
        text=True,
    )
    assert result.stdout == "A=1\n"


def test_unrelated_files_are_not_copied(env_root):
    files = {
        path for path in _contents(env_root) if not path.startswith(("usr/share/doc/", "var/"))
    }
    assert len(files) < 8
    assert [path for path in files if "/bin/" in path] == ["usr/bin/env"]


def test_package_records_and_copyrights_are_copied(env_root):
    records = env_root / "var/lib/dpkg/status.d"
    assert {"coreutils", "libc6"} <= {path.name for path in records.iterdir()}
    for record in (path for path in records.iterdir() if path.suffix != ".md5sums"):
        lines = record.read_text().splitlines()
        assert lines[0] == f"Package: {record.name}"
        assert any(line.startswith("Version: ") for line in lines)
        assert (env_root / "usr/share/doc" / record.name / "copyright").is_file()


def test_package_checksums_list_only_copied_files(env_root):
    records = env_root / "var/lib/dpkg/status.d"
    for name, file in (("coreutils", "usr/bin/env"), ("libc6", "libc.so.6")):
        lines = (records / f"{name}.md5sums").read_text().splitlines()
        paths = [line.partition("  ")[2] for line in lines]
        assert any(path.endswith(file) for path in paths)
        assert all((env_root / path).is_file() for path in paths)  # only copied files


def test_links_of_the_merged_usr_are_created(env_root):
    links = [path for path in map(Path, ("/bin", "/lib", "/lib64", "/sbin")) if path.is_symlink()]
    assert links
    for path in links:
        assert (env_root / path.name).readlink() == path.readlink()


def test_files_of_a_root_below_are_left_out(env_root, tmp_path):
    result = _run_closure(tmp_path / "out", "--below", env_root, "/usr/bin/env", "/usr/bin/true")
    assert result.returncode == 0, result.stderr
    files = _contents(tmp_path / "out")
    assert "usr/bin/true" in files
    assert "usr/bin/env" not in files
    assert not [path for path in files if "libc" in Path(path).name and ".so" in path]
    assert not (tmp_path / "out/bin").exists()


def test_files_of_any_root_below_are_left_out(env_root, tmp_path):
    """The worker's libraries lie above the roots of Python and of Node."""
    second = tmp_path / "second"
    assert _run_closure(second, "--below", env_root, "/usr/bin/true").returncode == 0
    roots = ("--below", env_root, "--below", second)
    result = _run_closure(
        tmp_path / "out", *roots, "/usr/bin/env", "/usr/bin/true", "/usr/bin/false"
    )
    assert result.returncode == 0, result.stderr
    programs = [path for path in _contents(tmp_path / "out") if path.startswith("usr/bin/")]
    assert programs == ["usr/bin/false"]


# --- trees


def _make_tree(parent: Path) -> Path:
    """Create a tree with a package, bytecode, links, and a program with mode 750."""
    root = parent / "tree"
    (root / "package/__pycache__").mkdir(parents=True)
    (root / "package/__init__.py").write_text("A = ('a', 1.5, frozenset({'x', 'y', 'z'}))\n")
    (root / "package/b.py").write_text("def f(x: int) -> str:\n    return f'{x!r} is x'\n")
    py_compile.compile(str(root / "package/b.py"), cfile=str(root / "package/__pycache__/b.pyc"))
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o750)
    (parent / "outside").write_text("outside")
    (root / "link").symlink_to("program")
    (root / "far").symlink_to(parent / "outside")
    (root / "dangling").symlink_to("nowhere")
    (root / "folder").symlink_to("package")
    return root


@pytest.fixture
def tree(tmp_path) -> Path:
    return _make_tree(tmp_path)


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Return a tree, and two copies of it, made while its files had different dates."""
    parent = tmp_path_factory.mktemp("copied")
    root = _make_tree(parent)
    for name, date in (("first", 1), ("second", 10**9)):
        for source in root.rglob("*.py"):
            os.utime(source, (date, date))
        result = _run_closure(parent / name, "--compile", "checked-hash", root)
        assert result.returncode == 0, result.stderr
    return root, parent / "first", parent / "second"


def test_links_are_copied_with_their_targets(copied):
    root, out, _ = copied
    for name in ("link", "far", "dangling", "folder"):
        assert (_copy_of(root, out) / name).readlink() == (root / name).readlink()
    assert _copy_of(root.parent / "outside", out).read_text() == "outside"


def test_single_link_is_copied_with_its_target_only(tree):
    selection = closure.Closure([], [])
    selection.add(tree / "link")
    assert selection.files == {tree / "link", tree / "program"}
    assert selection.folders == set()


@pytest.mark.parametrize(
    ("before", "after"), [(0o750, 0o755), (0o600, 0o644), (0o4755, 0o755), (0o666, 0o644)]
)
def test_modes_let_everyone_read_and_only_root_write(before, after, tmp_path):
    """The umask of the checkout has no influence, and a setuid bit is removed."""
    (tmp_path / "folder").mkdir(mode=0o700)
    path = tmp_path / "folder/file"
    path.write_text("x")
    path.chmod(before)
    closure.normalize(tmp_path)
    assert path.stat().st_mode & 0o7777 == after
    assert path.parent.stat().st_mode & 0o7777 == 0o755


def test_existing_bytecode_is_not_copied(tree, tmp_path):
    selection = closure.Closure([], [])
    selection.add(tree)
    selection.copy(tmp_path / "out")
    assert _copy_of(tree / "package/b.py", tmp_path / "out").is_file()
    assert not list((tmp_path / "out").rglob("__pycache__"))
    assert not list((tmp_path / "out").rglob("*.pyc"))


def test_two_copies_are_byte_identical(copied):
    _, first, second = copied
    assert len(_contents(first)) > 5
    assert _contents(first) == _contents(second)


@pytest.mark.parametrize(("mode", "flags"), [("unchecked-hash", 0b01), ("checked-hash", 0b11)])
def test_bytecode_is_validated_by_hash_and_contains_its_path_in_the_image(
    tree, tmp_path, mode, flags
):
    """The flags follow the magic number of four bytes (PEP 552)."""
    out = tmp_path / "out"
    selection = closure.Closure([], [])
    selection.add(tree)
    selection.copy(out)
    closure.compile_python(out, [tree], mode)
    compiled = sorted(out.rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in compiled] == ["__init__", "b"]
    for path in compiled:
        data = path.read_bytes()
        assert int.from_bytes(data[4:8], "little") == flags
        assert str(out).encode() not in data
        assert str(tree / "package").encode() in data


def _dates(out: Path) -> dict[Path, float]:
    """Return the date of everything except links to folders."""
    linked = {path for path in out.rglob("*") if path.is_symlink() and path.is_dir()}
    return {p: p.lstat().st_mtime for p in (out, *out.rglob("*")) if p not in linked}


def test_every_file_and_folder_has_the_same_date(copied):
    for out in copied[1:]:
        assert len(_dates(out)) > 8
        assert set(_dates(out).values()) == {EPOCH}


def test_date_comes_from_source_date_epoch(tmp_path):
    (tmp_path / "a").write_text("x")
    result = _run_closure(tmp_path / "out", tmp_path / "a", SOURCE_DATE_EPOCH="1")
    assert result.returncode == 0, result.stderr
    assert set(_dates(tmp_path / "out").values()) == {1}


def test_links_to_folders_have_the_same_date(copied):
    """Otherwise /bin and /lib would change the layer in each build."""
    root, out, _ = copied
    assert _copy_of(root / "folder", out).lstat().st_mtime == EPOCH


def test_missing_path_fails_the_build(tree, tmp_path):
    result = _run_closure(tmp_path / "out", tree, tmp_path / "none")
    assert result.returncode == 1
    assert f"closure: {tmp_path / 'none'} does not exist" in result.stderr
    assert not (tmp_path / "out").exists()


# --- parts of the script


def test_checksums_of_a_package_omit_altered_files(tmp_path, monkeypatch):
    (tmp_path / "info").mkdir()
    lines = []
    for name in ("same", "altered"):
        (tmp_path / name).write_text(name)
        digest = hashlib.md5((tmp_path / name).read_bytes()).hexdigest()
        lines.append(f"{digest}  {str(tmp_path / name)[1:]}\n")
    (tmp_path / "info/some.md5sums").write_text("".join(lines))
    (tmp_path / "altered").write_text("other content")
    monkeypatch.setattr(closure, "DPKG", tmp_path)
    selection = closure.Closure([], [])
    selection.files = {tmp_path / "same", tmp_path / "altered"}
    assert list(selection._checksums("some")) == lines[:1]


def test_pruned_folder_is_left_out_with_its_content(tree):
    selection = closure.Closure([], [f"{tree}/package", f"{tree}/pro*"])
    selection.add(tree)
    assert {path.name for path in selection.files} == {
        "link",
        "far",
        "dangling",
        "folder",
        "outside",
    }


def test_files_named_inside_a_program_are_copied(tmp_path):
    share = tmp_path / "share/nodejs"
    (share / "a").mkdir(parents=True)
    for name in ("a/index.js", "b.js", "never.js"):
        (share / name).write_text("x")
    names = b"\0".join(f"{share}/{name}".encode() for name in ("a/index.js", "b.js", "gone.js"))
    (tmp_path / "program").write_bytes(closure.ELF + b"\0" + names + b"\0")
    (tmp_path / "text").write_text(f"{share}/never.js")
    selection = closure.Closure([], [])
    selection.add(tmp_path / "program")
    selection.add(tmp_path / "text")
    selection.add_embedded(str(share))
    assert {path.name for path in selection.files} == {"program", "text", "index.js", "b.js"}


def test_missing_library_fails_the_build(monkeypatch):
    listing = "/usr/bin/env:\n\tlibgone.so.1 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x00)\n"
    result = subprocess.CompletedProcess([], 0, listing, "")
    monkeypatch.setattr(closure.subprocess, "run", lambda *_, **__: result)
    selection = closure.Closure([], [])
    selection.add(Path("/usr/bin/env"))
    with pytest.raises(SystemExit, match="libgone"):
        selection.add_libraries()
