"""Copy programs and their run-time dependencies into a new root.

Runs inside a build stage, on the base image's Python, with the standard library only:

    closure.py --out /runtime --python --prune stdlib.prune /etc/ssl/certs/ca-certificates.crt
    closure.py --out /deps --below /os --prune packages.prune --compile unchecked-hash /opt/venv
    closure.py --out /node --below /runtime --embedded /usr/share/nodejs /usr/bin/node

Each named file or folder is copied to the same path below --out, together with:

- the shared libraries that it links (found by the loader, so rpath and vendored libraries work);
- the targets of symbolic links;
- files whose paths are compiled into a program (--embedded);
- the Debian package record and copyright of each file's package, so that scanners still see it.

Files that already exist in a root named by --below are left out. A missing library fails the build.
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
# One date for every file, so that a layer depends on its content only.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))  # 1980-01-01, the oldest zip date


def resolve_parent(path: Path) -> Path:
    """Return the path with the links in its folders resolved; its last part may be a link."""
    return Path(os.path.realpath(path.parent)) / path.name


class Closure:
    """Set of files to copy: programs, their libraries and the copyrights of their packages.

    Args:
        below: Roots whose files are left out.
        prune: Globs of paths to leave out.
    """

    def __init__(self, below: list[Path], prune: list[str]) -> None:
        self.below = below
        self.prune = prune
        self.files: set[Path] = set()  # and links
        self.folders: set[Path] = set()
        self.library_folders: set[Path] = set()

    def add(self, path: Path) -> None:
        """Add a file, a tree, or a link with its target."""
        path = resolve_parent(path)
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
            sys.exit(f"closure: {path} does not exist")

    def _skips(self, path: Path) -> bool:
        if path.name == "__pycache__" or any(fnmatch(str(path), glob) for glob in self.prune):
            return True
        return not path.is_dir() and any(
            os.path.lexists(root / str(path)[1:]) for root in self.below
        )

    def elf_files(self) -> list[Path]:
        """Return the programs and libraries added so far."""
        elf_files = []
        for path in sorted(self.files):
            if not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(len(ELF)) == ELF:
                        elf_files.append(path)
        return elf_files

    def add_libraries(self) -> None:
        """Add the shared libraries of every ELF file; `ldd` lists them transitively."""
        elf_files = self.elf_files()
        if not elf_files:
            return
        # ldd exits with 1 if one of many files is static, so its status is ignored.
        listing = subprocess.run(
            ["ldd", *map(str, elf_files)], capture_output=True, text=True, check=False
        ).stdout
        missing = set(re.findall(r"^\s*(\S+) => not found", listing, re.MULTILINE))
        if missing:
            sys.exit(f"closure: these libraries are not in the base: {', '.join(sorted(missing))}")
        for library in set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listing, re.MULTILINE)):
            self.add(Path(library))
            self.library_folders.add(resolve_parent(Path(library)).parent)

    def add_embedded(self, folder: str) -> None:
        """Add files below `folder` whose paths are compiled into an ELF file.

        Debian's Node loads parts of itself from /usr/share/nodejs and aborts without them.
        """
        pattern = re.compile(re.escape(folder.encode()) + rb"/[\w./@+-]+")
        for elf_file in self.elf_files():
            for name in pattern.findall(elf_file.read_bytes()):
                path = Path(name.decode())
                if path.is_file():
                    self.add(path)

    def add_package_records(self, out: Path) -> None:
        """Write each package's dpkg record and checksums, as distroless does; add its copyright."""
        records = out / "var/lib/dpkg/status.d"
        for package in sorted(self._packages()):
            name = package.partition(":")[0]
            if self._skips(Path("/var/lib/dpkg/status.d", name)):
                continue  # a root below has the record
            stanza = subprocess.run(
                ["dpkg-query", "--status", package], capture_output=True, text=True, check=True
            ).stdout
            records.mkdir(parents=True, exist_ok=True)
            (records / name).write_text(stanza)
            copyright_file = Path("/usr/share/doc", name, "copyright")
            if copyright_file.exists():
                self.add(copyright_file)
            (records / f"{name}.md5sums").write_text("".join(self._checksums(package)))

    def _checksums(self, package: str) -> Iterator[str]:
        """Yield the md5sums lines of a package's files that are copied unchanged."""
        listing = DPKG / "info" / f"{package}.md5sums"
        files = {str(path)[1:]: path for path in self.files}
        for line in listing.read_text().splitlines(keepends=True) if listing.exists() else ():
            digest, _, name = line.rstrip("\n").partition("  ")
            # dpkg lists some files by their paths from before the /usr merge.
            path = files.get(name) or files.get(f"usr/{name}")
            if path and digest == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest():
                yield line

    def _packages(self) -> set[str]:
        """Return the packages of the files."""
        owners: dict[str, str] = {}
        for listing in sorted((DPKG / "info").glob("*.list")):
            for line in listing.read_text().splitlines():
                owners[line] = listing.stem
        # dpkg lists some files by their paths from before the /usr merge: /lib/x for /usr/lib/x.
        names = {n for path in self.files for n in (str(path), str(path).removeprefix("/usr"))}
        return {owners[name] for name in names & owners.keys()}

    def copy(self, out: Path) -> None:
        """Copy everything below `out`; `normalize` sets modes and dates."""
        for folder in sorted(self.folders):
            (out / str(folder)[1:]).mkdir(parents=True, exist_ok=True)
        for path in sorted(self.files):
            target = out / str(path)[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)


def python_files() -> Iterator[Path]:
    """Yield the running interpreter, its names on PATH, and its standard library."""
    program = Path(os.path.realpath(sys.executable))
    yield program
    for name in ("python3.11", "python3"):
        if (program.parent / name).exists():
            yield program.parent / name
    yield Path(sysconfig.get_path("stdlib"))


def usr_merge_links() -> Iterator[Path]:
    """Yield the links of a merged /usr (/lib -> usr/lib): the loader and `#!` lines need them."""
    return (path for path in map(Path, ("/bin", "/lib", "/lib64", "/sbin")) if path.is_symlink())


def prune_list(file: Path | None, *, python: bool) -> list[str]:
    """Return the globs of a prune file: one per line, followed by `#` and the reason.

    They apply below the standard library if `python`, otherwise below any site-packages.
    """
    lines = file.read_text().splitlines() if file else []
    below = sysconfig.get_path("stdlib") if python else "*/site-packages"
    globs = (line.partition("#")[0].strip() for line in lines)
    return [f"{below}/{glob}" for glob in globs if glob]


def compile_python(out: Path, folders: Iterable[Path], mode: str) -> None:
    """Compile every module. Bytecode is validated by hash, so it contains no date."""
    for folder in folders:
        compileall.compile_dir(
            out / str(folder)[1:],
            quiet=2,
            stripdir=str(out),
            prependdir="/",
            invalidation_mode=PycInvalidationMode[mode.upper().replace("-", "_")],
        )


def normalize(out: Path) -> None:
    """Set one date on everything, and modes that do not depend on the umask of the checkout.

    Any user may read everything and write nothing; setuid bits are removed.
    """
    for folder, folders, names in os.walk(out, topdown=False):
        # os.walk lists a link to a folder among the folders, without walking into it.
        for name in [*names, *folders]:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    if (out / "tmp").is_dir():
        (out / "tmp").chmod(0o1777)
    os.utime(out, (EPOCH, EPOCH))


def main() -> None:
    """Parse the command line and copy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the new root")
    parser.add_argument(
        "--below", type=Path, action="append", default=[], help="a root whose files are left out"
    )
    parser.add_argument("--prune", type=Path, help="file of globs to leave out")
    parser.add_argument("--python", action="store_true", help="copy this Python itself")
    parser.add_argument("--embedded", metavar="FOLDER", help="copy files named inside programs")
    parser.add_argument("--compile", choices=("unchecked-hash", "checked-hash"))
    parser.add_argument("paths", nargs="*", type=Path)
    options = parser.parse_args()

    closure = Closure(options.below, prune_list(options.prune, python=options.python))
    for path in options.paths:
        closure.add(path)
    compiled_folders = [path for path in options.paths if path.is_dir()]
    if options.python:
        for path in python_files():
            closure.add(path)
        compiled_folders.append(Path(sysconfig.get_path("stdlib")))
    closure.add_libraries()
    if options.embedded:
        closure.add_embedded(options.embedded)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.below:
        for link in usr_merge_links():
            (options.out / link.name).symlink_to(link.readlink())
    closure.add_package_records(options.out)
    closure.copy(options.out)
    if options.compile:
        compile_python(options.out, compiled_folders, options.compile)
    if options.python:
        (options.out / "tmp").mkdir()
        # The loader finds libraries outside its default folders by its cache only, such as
        # libpython in /usr/local/lib of python:3.11-slim.
        library_folders = sorted(map(str, closure.library_folders))
        subprocess.run(["ldconfig", "-r", str(options.out), *library_folders], check=True)
    normalize(options.out)


if __name__ == "__main__":
    main()
