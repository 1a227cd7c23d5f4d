"""closure.py: copies programs with their run-time dependencies only."""

from __future__ import annotations

import hashlib
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.build_scripts import EPOCH, SCRIPT, closure


def _close(out: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"} | variables
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


def _inside(out: Path, path: Path) -> Path:
    return out / str(path)[1:]


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> Path:
    """Return a root with a real program of this machine."""
    out = tmp_path_factory.mktemp("env") / "root"
    done = _close(out, "/usr/bin/env")
    assert done.returncode == 0, done.stderr
    return out


# --- a real program


def test_program_is_copied_with_its_libraries_and_loader_and_runs(env):
    names = {path.name for path in env.rglob("*") if path.is_file()}
    assert {"env", "libc.so.6"} <= names
    loader = next(env.rglob("ld-linux*"))
    library = next(env.rglob("libc.so.6")).parent
    done = subprocess.run(
        [loader, "--library-path", library, env / "usr/bin/env", "-i", "A=1", "/usr/bin/env"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "A=1\n"


def test_unrelated_files_are_not_copied(env):
    files = {path for path in _files(env) if not path.startswith(("usr/share/doc/", "var/"))}
    assert len(files) < 8
    assert [path for path in files if "/bin/" in path] == ["usr/bin/env"]


def test_package_records_and_copyrights_are_copied(env):
    records = env / "var/lib/dpkg/status.d"
    assert {"coreutils", "libc6"} <= {path.name for path in records.iterdir()}
    for record in (path for path in records.iterdir() if path.suffix != ".md5sums"):
        lines = record.read_text().splitlines()
        assert lines[0] == f"Package: {record.name}"
        assert any(line.startswith("Version: ") for line in lines)
        assert (env / "usr/share/doc" / record.name / "copyright").is_file()


def test_package_checksums_list_the_copied_files(env):
    records = env / "var/lib/dpkg/status.d"
    for name, file in (("coreutils", "usr/bin/env"), ("libc6", "libc.so.6")):
        lines = (records / f"{name}.md5sums").read_text().splitlines()
        named = [line.partition("  ")[2] for line in lines]
        assert any(path.endswith(file) for path in named)
        assert all((env / path).is_file() for path in named)  # none that was not taken


def test_links_of_the_merged_usr_are_created(env):
    links = [path for path in map(Path, ("/bin", "/lib", "/lib64", "/sbin")) if path.is_symlink()]
    assert links
    for path in links:
        assert (env / path.name).readlink() == path.readlink()


def test_files_of_a_root_below_are_left_out(env, tmp_path):
    done = _close(tmp_path / "out", "--below", env, "/usr/bin/env", "/usr/bin/true")
    assert done.returncode == 0, done.stderr
    files = _files(tmp_path / "out")
    assert "usr/bin/true" in files
    assert "usr/bin/env" not in files
    assert not [path for path in files if "libc" in Path(path).name and ".so" in path]
    assert not (tmp_path / "out/bin").exists()


def test_files_of_any_root_below_are_left_out(env, tmp_path):
    """The worker's libraries stand on the runtime and on Node's."""
    second = tmp_path / "second"
    assert _close(second, "--below", env, "/usr/bin/true").returncode == 0
    roots = ("--below", env, "--below", second)
    done = _close(tmp_path / "out", *roots, "/usr/bin/env", "/usr/bin/true", "/usr/bin/false")
    assert done.returncode == 0, done.stderr
    programs = [path for path in _files(tmp_path / "out") if path.startswith("usr/bin/")]
    assert programs == ["usr/bin/false"]


# --- trees


def _grow(parent: Path) -> Path:
    """A package with links, bytecode and modes of its own."""
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
    return _grow(tmp_path)


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A tree, and two copies of it that were made with other dates in the source."""
    parent = tmp_path_factory.mktemp("copied")
    root = _grow(parent)
    for name, date in (("one", 1), ("two", 10**9)):
        for source in root.rglob("*.py"):
            os.utime(source, (date, date))
        done = _close(parent / name, "--compile", "checked-hash", root)
        assert done.returncode == 0, done.stderr
    return root, parent / "one", parent / "two"


def test_links_are_copied_with_their_targets(copied):
    root, out, _ = copied
    for name in ("link", "far", "dangling", "folder"):
        assert (_inside(out, root) / name).readlink() == (root / name).readlink()
    assert _inside(out, root.parent / "outside").read_text() == "outside"


def test_single_link_is_copied_with_its_target_only(tree):
    found = closure.Closure([], [])
    found.add(tree / "link")
    assert found.files == {tree / "link", tree / "program"}
    assert found.folders == set()


@pytest.mark.parametrize(
    ("before", "after"), [(0o750, 0o755), (0o600, 0o644), (0o4755, 0o755), (0o666, 0o644)]
)
def test_modes_let_everyone_read_and_only_root_write(before, after, tmp_path):
    """Whatever the umask of the checkout was; a setuid bit is not kept."""
    (tmp_path / "folder").mkdir(mode=0o700)
    path = tmp_path / "folder/file"
    path.write_text("x")
    path.chmod(before)
    closure.normalize(tmp_path)
    assert path.stat().st_mode & 0o7777 == after
    assert path.parent.stat().st_mode & 0o7777 == 0o755


def test_existing_bytecode_is_not_copied(tree, tmp_path):
    found = closure.Closure([], [])
    found.add(tree)
    found.copy(tmp_path / "out")
    assert _inside(tmp_path / "out", tree / "package/b.py").is_file()
    assert not list((tmp_path / "out").rglob("__pycache__"))
    assert not list((tmp_path / "out").rglob("*.pyc"))


def test_two_copies_are_byte_identical(copied):
    _, one, two = copied
    assert len(_files(one)) > 5
    assert _files(one) == _files(two)


@pytest.mark.parametrize(("mode", "flags"), [("unchecked-hash", 0b01), ("checked-hash", 0b11)])
def test_bytecode_is_validated_by_hash_and_contains_its_path_in_the_image(
    tree, tmp_path, mode, flags
):
    """PEP 552: the flags stand behind the magic number."""
    out = tmp_path / "out"
    found = closure.Closure([], [])
    found.add(tree)
    found.copy(out)
    closure.compile_python(out, [tree], mode)
    compiled = sorted(out.rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in compiled] == ["__init__", "b"]
    for path in compiled:
        data = path.read_bytes()
        assert int.from_bytes(data[4:8], "little") == flags
        assert str(out).encode() not in data
        assert str(tree / "package").encode() in data


def _dates(out: Path) -> dict[Path, float]:
    """The date of everything but of links to folders."""
    linked = {path for path in out.rglob("*") if path.is_symlink() and path.is_dir()}
    return {p: p.lstat().st_mtime for p in (out, *out.rglob("*")) if p not in linked}


def test_every_file_and_folder_has_the_same_date(copied):
    for out in copied[1:]:
        assert len(_dates(out)) > 8
        assert set(_dates(out).values()) == {EPOCH}


def test_date_comes_from_source_date_epoch(tmp_path):
    (tmp_path / "a").write_text("x")
    done = _close(tmp_path / "out", tmp_path / "a", SOURCE_DATE_EPOCH="1")
    assert done.returncode == 0, done.stderr
    assert set(_dates(tmp_path / "out").values()) == {1}


def test_links_to_folders_have_the_same_date(copied):
    """Else /bin and /lib make another layer at each build."""
    root, out, _ = copied
    assert _inside(out, root / "folder").lstat().st_mtime == EPOCH


def test_missing_path_fails_the_build(tree, tmp_path):
    done = _close(tmp_path / "out", tree, tmp_path / "none")
    assert done.returncode == 1
    assert f"closure: {tmp_path / 'none'} does not exist" in done.stderr
    assert not (tmp_path / "out").exists()


# --- its parts


def test_altered_file_is_not_in_its_packages_checksums(tmp_path, monkeypatch):
    (tmp_path / "info").mkdir()
    lines = []
    for name in ("same", "altered"):
        (tmp_path / name).write_text(name)
        digest = hashlib.md5((tmp_path / name).read_bytes()).hexdigest()
        lines.append(f"{digest}  {str(tmp_path / name)[1:]}\n")
    (tmp_path / "info/some.md5sums").write_text("".join(lines))
    (tmp_path / "altered").write_text("otherwise")
    monkeypatch.setattr(closure, "DPKG", tmp_path)
    found = closure.Closure([], [])
    found.files = {tmp_path / "same", tmp_path / "altered"}
    assert list(found._sums("some")) == lines[:1]


def test_pruned_folder_is_left_out_with_its_content(tree):
    found = closure.Closure([], [f"{tree}/package", f"{tree}/pro*"])
    found.add(tree)
    assert {path.name for path in found.files} == {"link", "far", "dangling", "folder", "outside"}


def test_files_named_inside_a_program_are_copied(tmp_path):
    share = tmp_path / "share/nodejs"
    (share / "a").mkdir(parents=True)
    for name in ("a/index.js", "b.js", "never.js"):
        (share / name).write_text("x")
    names = b"\0".join(f"{share}/{name}".encode() for name in ("a/index.js", "b.js", "gone.js"))
    (tmp_path / "program").write_bytes(closure.ELF + b"\0" + names + b"\0")
    (tmp_path / "text").write_text(f"{share}/never.js")
    found = closure.Closure([], [])
    found.add(tmp_path / "program")
    found.add(tmp_path / "text")
    found.add_embedded(str(share))
    assert {path.name for path in found.files} == {"program", "text", "index.js", "b.js"}


def test_missing_library_fails_the_build(monkeypatch):
    answer = "/usr/bin/env:\n\tlibgone.so.1 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x00)\n"
    done = subprocess.CompletedProcess([], 0, answer, "")
    monkeypatch.setattr(closure.subprocess, "run", lambda *_, **__: done)
    found = closure.Closure([], [])
    found.add(Path("/usr/bin/env"))
    with pytest.raises(SystemExit, match="libgone"):
        found.add_libraries()
