"""Copy programs, and only what they need to run, into an empty root.

Runs inside a build stage, on the base image's own Python, standard library only:

    closure.py --out /runtime --python --prune stdlib.prune /etc/ssl/certs/ca-certificates.crt
    closure.py --out /deps --below /os --prune packages.prune --compile unchecked-hash /opt/venv
    closure.py --out /node --below /runtime --embedded /usr/share/nodejs /usr/bin/node

Everything named is copied to the same path below --out, and with it: the shared libraries
that it links (asked of the loader, so rpath and vendored libraries are honoured), links and
what they point at, files whose paths are compiled into a program (--embedded), and the
Debian package record and copyright of each file's package, so that scanners still see what
is inside. What a root --below holds already is left out. A library that is missing stops the build
here, not the container later.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from py_compile import PycInvalidationMode

ELF = b"\x7fELF"
DPKG = Path("/var/lib/dpkg")
# One date for every file: layers depend on what is in them, not on when they were made.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))  # 1980-01-01, the oldest zip date


def real_parent(path: Path) -> Path:
    """The path with links in its folders followed, but not the last name itself."""
    return Path(os.path.realpath(path.parent)) / path.name


class Closure:
    """The files to copy, gathered until nothing new is needed."""

    def __init__(self, below: list[Path], prune: list[str]) -> None:
        self.below = below
        self.prune = prune
        self.files: set[Path] = set()
        self.folders: set[Path] = set()
        self.library_folders: set[Path] = set()

    def add(self, path: Path) -> None:
        """Take a file, link or tree; a link brings what it points at."""
        path = real_parent(path)
        if path in self.files or path in self.folders or self._skips(path):
            return
        if path.is_symlink():
            self.files.add(path)
            target = path.parent / path.readlink()
            if target.exists():
                self.add(target)
        elif path.is_dir():
            self.folders.add(path)
            for child in sorted(path.iterdir()):
                self.add(child)
        elif path.is_file():
            self.files.add(path)
        else:
            sys.exit(f"closure: {path} is not there")

    def _skips(self, path: Path) -> bool:
        if path.name == "__pycache__" or any(fnmatch(str(path), glob) for glob in self.prune):
            return True
        return not path.is_dir() and any(
            os.path.lexists(root / str(path)[1:]) for root in self.below
        )

    def programs(self) -> list[Path]:
        """Every ELF file taken so far."""
        found = []
        for path in sorted(self.files):
            if not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(4) == ELF:
                        found.append(path)
        return found

    def add_libraries(self) -> None:
        """Take the shared libraries of every program; `ldd` already answers transitively."""
        programs = self.programs()
        if not programs:
            return
        # ldd exits 1 for a static program among many: what it prints is what counts.
        answer = subprocess.run(
            ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
        ).stdout
        missing = set(re.findall(r"^\s*(\S+) => not found", answer, re.MULTILINE))
        if missing:
            sys.exit(f"closure: these libraries are not in the base: {', '.join(sorted(missing))}")
        for library in set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", answer, re.MULTILINE)):
            self.add(Path(library))
            self.library_folders.add(real_parent(Path(library)).parent)

    def add_embedded(self, folder: str) -> None:
        """Take files below `folder` whose paths are compiled into a program.

        Debian's Node loads parts of itself from /usr/share/nodejs and aborts without them.
        """
        pattern = re.compile(re.escape(folder.encode()) + rb"/[\w./@+-]+")
        for program in self.programs():
            for name in pattern.findall(program.read_bytes()):
                path = Path(name.decode())
                if path.is_file():
                    self.add(path)

    def add_package_records(self, out: Path) -> None:
        """Keep each package's dpkg record, checksums and copyright, as distroless does."""
        records = out / "var/lib/dpkg/status.d"
        for package in sorted(self._packages()):
            name = package.partition(":")[0]
            if self._skips(Path("/var/lib/dpkg/status.d", name)):
                continue  # the layer below has it
            stanza = subprocess.run(
                ["dpkg-query", "--status", package], capture_output=True, text=True, check=True
            ).stdout
            records.mkdir(parents=True, exist_ok=True)
            (records / name).write_text(stanza)
            copyright_file = Path("/usr/share/doc", name, "copyright")
            if copyright_file.exists():
                self.add(copyright_file)
            (records / f"{name}.md5sums").write_text("".join(self._sums(package)))

    def _sums(self, package: str) -> Iterator[str]:
        """The lines of a package's md5sums whose files are taken: which bytes are whose. A file
        that the build altered is no longer the package's, and has no line."""
        listing = DPKG / "info" / f"{package}.md5sums"
        taken = {str(path)[1:]: path for path in self.files}
        for line in listing.read_text().splitlines(keepends=True) if listing.exists() else ():
            digest, _, name = line.rstrip("\n").partition("  ")
            # as dpkg knew it before the /usr merge
            path = taken.get(name) or taken.get(f"usr/{name}")
            if path and digest == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest():
                yield line

    def _packages(self) -> set[str]:
        owners: dict[str, str] = {}
        for listing in sorted((DPKG / "info").glob("*.list")):
            for line in listing.read_text().splitlines():
                owners[line] = listing.stem
        found = set()
        for path in self.files:
            # Since the /usr merge, dpkg may know /usr/lib/x as /lib/x.
            for name in (str(path), str(path).removeprefix("/usr")):
                if name in owners:
                    found.add(owners[name])
        return found

    def copy(self, out: Path) -> None:
        """Write everything below `out`, owned by root; `settle` sets modes and dates."""
        for folder in sorted(self.folders):
            (out / str(folder)[1:]).mkdir(parents=True, exist_ok=True)
        for path in sorted(self.files):
            target = out / str(path)[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)


def python_files() -> Iterator[Path]:
    """The interpreter that runs this, its names on PATH, and its standard library."""
    program = Path(os.path.realpath(sys.executable))
    yield program
    for name in ("python3.11", "python3"):
        if (program.parent / name).exists():
            yield program.parent / name
    yield Path(sysconfig.get_path("stdlib"))


def merged_folders() -> Iterator[Path]:
    """/lib -> usr/lib and its like: the loader's path and `#!` lines go through them."""
    return (path for path in map(Path, ("/bin", "/lib", "/lib64", "/sbin")) if path.is_symlink())


def prune_list(file: Path | None, *, python: bool) -> list[str]:
    """The globs of a prune file, below the standard library or below any site-packages: one a
    line, `#` begins the reason."""
    lines = file.read_text().splitlines() if file else []
    below = sysconfig.get_path("stdlib") if python else "*/site-packages"
    globs = (line.partition("#")[0].strip() for line in lines)
    return [f"{below}/{glob}" for glob in globs if glob]


def compile_python(out: Path, folders: Iterable[Path], mode: str) -> None:
    """Compile every module; bytecode is validated by hash, so that no date is in it."""
    for folder in folders:
        compileall.compile_dir(
            out / str(folder)[1:],
            quiet=2,
            stripdir=str(out),
            prependdir="/",
            invalidation_mode=PycInvalidationMode[mode.upper().replace("-", "_")],
        )


def settle(out: Path) -> None:
    """Give everything the one date, and a mode that depends on nothing but what it is.

    Whoever runs the image may read all of it and write none of it, whatever the umask of the
    checkout was; a setuid bit does not pass either.
    """
    for folder, folders, names in os.walk(out, topdown=False):
        # A link to a folder stands among the folders, but is not walked into.
        for name in [*names, *folders]:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    if (out / "tmp").is_dir():
        (out / "tmp").chmod(0o1777)
    os.utime(out, (EPOCH, EPOCH))


def main() -> None:
    """Read the command line, gather, copy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the new root")
    parser.add_argument(
        "--below", type=Path, action="append", default=[], help="a root whose files are there"
    )
    parser.add_argument("--prune", type=Path, help="globs of what to leave out")
    parser.add_argument("--python", action="store_true", help="take this Python itself")
    parser.add_argument("--embedded", metavar="FOLDER", help="take files named inside programs")
    parser.add_argument("--compile", choices=("unchecked-hash", "checked-hash"))
    parser.add_argument("paths", nargs="*", type=Path)
    options = parser.parse_args()

    closure = Closure(options.below, prune_list(options.prune, python=options.python))
    for path in options.paths:
        closure.add(path)
    folders = [path for path in options.paths if path.is_dir()]
    if options.python:
        for path in python_files():
            closure.add(path)
        folders.append(Path(sysconfig.get_path("stdlib")))
    closure.add_libraries()
    if options.embedded:
        closure.add_embedded(options.embedded)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.below:
        for link in merged_folders():
            (options.out / link.name).symlink_to(link.readlink())
    closure.add_package_records(options.out)
    closure.copy(options.out)
    if options.compile:
        compile_python(options.out, folders, options.compile)
    if options.python:
        (options.out / "tmp").mkdir()
        # A library outside the loader's own folders is found by this cache alone: libpython in
        # /usr/local/lib, in python:3.11-slim.
        places = sorted(map(str, closure.library_folders))
        subprocess.run(["ldconfig", "-r", str(options.out), *places], check=True)
    settle(options.out)


if __name__ == "__main__":
    main()
