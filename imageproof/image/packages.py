"""Installed packages, from their records in an image: dpkg, apk, Python and npm."""

from __future__ import annotations

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from imageproof.documents import parse_json
from imageproof.image.facts import Package, PackageKind
from imageproof.image.tar import printable

MAX_RECORD_BYTES = 1 << 23  # a full Debian's dpkg status has about 5 MB
MAX_PACKAGE_JSON_BYTES = 1 << 20
MAX_METADATA_BYTES = 1 << 16  # METADATA has its fields first, then a description of any length
MAX_NAME_CHARACTERS = 256  # of a name or version; npm allows 214
SYSTEM_KINDS = ("dpkg", "apk")
_DPKG_STATUS = "var/lib/dpkg/status"
_DPKG_STATUS_FOLDER = "var/lib/dpkg/status.d/"  # a file for each package, as in distroless images
# NAME.list or NAME:ARCHITECTURE.list
_DPKG_FILE_LIST = re.compile(r"^var/lib/dpkg/info/(?P<name>[^/:]+)(?::[^/]+)?\.list$")
_APK_DATABASE = "lib/apk/db/installed"
_PYTHON_METADATA = ("-info/METADATA", "-info/PKG-INFO")
_PYTHON_RECORD = re.compile(r"^(?P<site>.*/)?[^/]+\.(?:dist|egg)-info/(?P<file>[^/]+)$")
# In a package's root folder, not deeper: examples and tests have package.json files too.
_NPM_RECORD = re.compile(
    r"^(?:(?!node_modules/)[^/]+/)*"
    r"(?:node_modules/(?:\.pnpm/[^/]+/node_modules/)?(?:@[^/]+/)?[^/@.][^/]*/)+package\.json$"
)
Records = Mapping[str, bytes]  # content by path


def max_record_bytes(path: str) -> int:
    """Return how many bytes of a package's record to read; 0 for a file that is not a record."""
    if path.startswith(("var/lib/dpkg/", "lib/apk/")):
        is_record = (
            path in (_DPKG_STATUS, _APK_DATABASE)
            or path.startswith(_DPKG_STATUS_FOLDER)
            or _DPKG_FILE_LIST.match(path)
        )
        return MAX_RECORD_BYTES if is_record else 0
    if path.endswith("/package.json"):
        return MAX_PACKAGE_JSON_BYTES if _NPM_RECORD.match(path) else 0
    if path.endswith(_PYTHON_METADATA):
        return MAX_METADATA_BYTES if _PYTHON_RECORD.match(path) else 0
    if path.endswith("-info/RECORD"):
        return MAX_RECORD_BYTES if _PYTHON_RECORD.match(path) else 0
    return 0


def may_be_truncated(path: str) -> bool:
    """Return whether the first bytes of a record are enough."""
    return path.endswith(_PYTHON_METADATA)


def read_packages(records: Records) -> list[Package]:
    """Return the packages of one layer's records, sorted by kind, name and record."""
    packages = [*_dpkg(records), *_apk(records), *_python(records), *_npm(records)]
    return sorted(packages, key=lambda package: (package.kind, package.name, package.record))


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _shorten(text: str) -> str:
    """Make a name or version printable and short."""
    return printable(text.strip())[:MAX_NAME_CHARACTERS]


def _package(
    kind: PackageKind, name: str, version: str, record: str, owns: Iterable[str], source: str = ""
) -> Package:
    paths = tuple(map(printable, owns))  # like the paths of files
    return Package(kind, _shorten(name), _shorten(version), record, paths, _shorten(source))


def _fields(paragraph: str) -> dict[str, str]:
    """Parse a control paragraph (deb-control(5), RFC 822), without continuation lines."""
    pairs = (line.partition(":") for line in paragraph.splitlines() if line[:1].strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _dpkg(records: Records) -> Iterator[Package]:
    """Parse dpkg's status and file lists, and the status folder of distroless images."""
    file_lists = _dpkg_file_lists(records)  # of all architectures of a package together
    for paragraph in re.split(r"\n\s*\n", _text(records.get(_DPKG_STATUS, b""))):
        fields = _fields(paragraph)
        state = fields.get("status", "installed").rpartition(" ")[2]
        if fields.get("package") and state in ("installed", "half-installed"):
            # Only once: a hostile status may repeat a package with many files 100,000 times.
            yield _dpkg_package(fields, _DPKG_STATUS, file_lists.pop(fields["package"], ()))
    for path, content in records.items():
        if path.startswith(_DPKG_STATUS_FOLDER) and not path.endswith(".md5sums"):
            fields = _fields(_text(content).split("\n\n")[0])
            if fields.get("package"):
                sums = _text(records.get(f"{path}.md5sums", b"")).splitlines()
                owns = (line[34:] for line in sums if len(line) > 34)  # md5, two spaces, path
                yield _dpkg_package(fields, path, owns)


def _dpkg_file_lists(records: Records) -> dict[str, list[str]]:
    """Return the files of each package, from the lists of all its architectures."""
    file_lists: dict[str, list[str]] = defaultdict(list)
    for path, content in records.items():
        if match := _DPKG_FILE_LIST.match(path):
            files = (line.lstrip("/") for line in _text(content).splitlines())
            file_lists[match["name"]] += [file for file in files if file not in ("", ".")]
    return file_lists


def _dpkg_package(fields: Mapping[str, str], record: str, owns: Iterable[str]) -> Package:
    """Return a package from dpkg's fields; `Source` may append a version (deb-control(5))."""
    source = fields.get("source", "").partition(" ")[0]
    return _package("dpkg", fields["package"], fields.get("version", ""), record, owns, source)


def _apk(records: Records) -> Iterator[Package]:
    """Parse Alpine's database (apk v2): `P:` name, `V:` version, `F:` folder, `R:` file in it."""
    for paragraph in _text(records.get(_APK_DATABASE, b"")).split("\n\n"):
        name = version = folder = ""
        owns = []
        for line in paragraph.splitlines():
            key, _, value = line.partition(":")
            if key == "P":
                name = value
            elif key == "V":
                version = value
            elif key == "F":
                folder = value
            elif key == "R":
                owns.append(f"{folder}/{value}".lstrip("/"))
        if name:
            yield _package("apk", name, version, _APK_DATABASE, owns)


def _python(records: Records) -> Iterator[Package]:
    """Parse core metadata and RECORD (PyPA specifications)."""
    for path, content in records.items():
        match = _PYTHON_RECORD.match(path)
        if match is None or match["file"] == "RECORD":
            continue
        fields = _fields(_text(content).split("\n\n")[0])
        if name := fields.get("name"):
            folder = posixpath.dirname(path)
            record = records.get(f"{folder}/RECORD", b"")
            owns = tuple(_recorded_paths(match["site"] or "", record)) or (f"{folder}/",)
            yield _package("python", name, fields.get("version", ""), path, owns)


def _recorded_paths(site: str, record: bytes) -> Iterator[str]:
    """Yield the paths in RECORD, whose rows begin with a path relative to the site folder."""
    try:
        rows = list(csv.reader(_text(record).splitlines()))
    except csv.Error:
        return
    for row in rows:
        if row and row[0]:
            yield posixpath.normpath(posixpath.join("/", site, row[0])).lstrip("/")


def _npm(records: Records) -> Iterator[Package]:
    for path, content in records.items():
        if not _NPM_RECORD.match(path):
            continue
        try:
            document = parse_json(content)
            name, version = document["name"], document["version"]
        except (ValueError, KeyError, TypeError):
            continue  # package.json of a folder that is not a package
        if isinstance(name, str) and isinstance(version, str):
            yield _package("npm", name, version, path, (f"{posixpath.dirname(path)}/",))
