"""Packages, as their own records in an image say: dpkg, apk, Python and npm."""

from __future__ import annotations

import csv
import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from imageproof.image.facts import Package, PackageKind
from imageproof.image.tar import printable

RECORD_BYTES = 1 << 23  # of one record; a full Debian's dpkg status has about 5 MB
NPM_BYTES = 1 << 20  # of a package.json
HEAD_BYTES = 1 << 16  # of METADATA: its fields come first, a description of any length behind them
NAME = 256  # characters of a name or version; npm allows 214
STATUS = "var/lib/dpkg/status"
STATUS_FOLDER = "var/lib/dpkg/status.d/"  # one file a package: distroless, and closures like ours
LISTS = re.compile(r"^var/lib/dpkg/info/(?P<name>[^/:]+)(?::[^/]+)?\.list$")
APK = "lib/apk/db/installed"
PYTHON = re.compile(r"^(?P<site>.*/)?(?P<info>[^/]+\.(?:dist|egg)-info)/(?P<file>[^/]+)$")
# In a package's own root, or in one right below it: what lies deeper are its examples and tests.
NPM = re.compile(
    r"^(?:(?!node_modules/)[^/]+/)*"
    r"(?:node_modules/(?:\.pnpm/[^/]+/node_modules/)?(?:@[^/]+/)?[^/@.][^/]*/)+package\.json$"
)
_DESCRIBED = ("-info/METADATA", "-info/PKG-INFO")
SYSTEM = ("dpkg", "apk")
Records = Mapping[str, bytes]


def room(path: str) -> int:
    """How many bytes to keep of a file that says what a package is or owns; 0: it says nothing."""
    if path.startswith(("var/lib/dpkg/", "lib/apk/")):
        known = path in (STATUS, APK) or path.startswith(STATUS_FOLDER) or LISTS.match(path)
        return RECORD_BYTES if known else 0
    if path.endswith("/package.json"):
        return NPM_BYTES if NPM.match(path) else 0
    if path.endswith(_DESCRIBED):
        return HEAD_BYTES if PYTHON.match(path) else 0
    if path.endswith("-info/RECORD"):
        return RECORD_BYTES if PYTHON.match(path) else 0
    return 0


def may_be_cut(path: str) -> bool:
    """Whether what is kept of a record says enough, however long it is."""
    return path.endswith(_DESCRIBED)


def read(records: Records) -> Iterator[Package]:
    """The packages that the records of one layer name, in a stable order."""
    found = [*_dpkg(records), *_apk(records), *_python(records), *_npm(records)]
    yield from sorted(found, key=lambda package: (package.kind, package.name, package.record))


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _said(text: str) -> str:
    """A name or version as it may be shown."""
    return printable(text.strip())[:NAME]


def _package(
    kind: PackageKind, name: str, version: str, record: str, owns: Iterable[str], source: str = ""
) -> Package:
    paths = tuple(map(printable, owns))  # as the paths of files are
    return Package(kind, _said(name), _said(version), record, paths, _said(source))


def _fields(paragraph: str) -> dict[str, str]:
    """The fields of a control paragraph (deb-control(5), RFC 822); continued lines are left out."""
    pairs = (line.partition(":") for line in paragraph.splitlines() if line[:1].strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _dpkg(records: Records) -> Iterator[Package]:
    lists: dict[str, list[str]] = defaultdict(list)  # several architectures may have one name
    for path, content in records.items():
        if match := LISTS.match(path):
            listed = (line.lstrip("/") for line in _text(content).splitlines())
            lists[str(match["name"])] += [line for line in listed if line not in ("", ".")]
    for paragraph in re.split(r"\n\s*\n", _text(records.get(STATUS, b""))):
        fields = _fields(paragraph)
        if fields.get("package") and fields.get("status", "installed").endswith("installed"):
            if fields.get("status", "").endswith("not-installed"):
                continue
            owner = fields["package"]
            yield _debian(fields, STATUS, lists.get(owner, ()))
    for path, content in records.items():
        if path.startswith(STATUS_FOLDER) and not path.endswith(".md5sums"):
            fields = _fields(_text(content).split("\n\n")[0])
            if fields.get("package"):
                sums = _text(records.get(f"{path}.md5sums", b"")).splitlines()
                owns = (line[34:] for line in sums if len(line) > 34)  # md5, two spaces, path
                yield _debian(fields, path, owns)


def _debian(fields: Mapping[str, str], record: str, owns: Iterable[str]) -> Package:
    """Of dpkg's fields; a version of the source in brackets is left out (deb-control(5))."""
    source = fields.get("source", "").partition(" ")[0]
    return _package("dpkg", fields["package"], fields.get("version", ""), record, owns, source)


def _apk(records: Records) -> Iterator[Package]:
    """Alpine's list: `P:` name, `V:` version, `F:` folder, `R:` file in it (apk-v2 database)."""
    for paragraph in _text(records.get(APK, b"")).split("\n\n"):
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
            yield _package("apk", name, version, APK, owns)


def _python(records: Records) -> Iterator[Package]:
    """PyPA specifications: core metadata, and RECORD for what was installed."""
    for path, content in records.items():
        match = PYTHON.match(path)
        if match is None or match["file"] == "RECORD":
            continue
        fields = _fields(_text(content).split("\n\n")[0])
        if name := fields.get("name"):
            folder = posixpath.dirname(path)
            site = str(match["site"] or "")
            listed = tuple(_recorded(site, records.get(f"{folder}/RECORD", b"")))
            owns = listed or (f"{folder}/",)
            yield _package("python", name, fields.get("version", ""), path, owns)


def _recorded(site: str, content: bytes) -> Iterator[str]:
    try:
        rows = list(csv.reader(_text(content).splitlines()))
    except csv.Error:
        return
    for row in rows:
        if row and row[0]:
            yield posixpath.normpath(posixpath.join("/", site, row[0])).lstrip("/")


def _npm(records: Records) -> Iterator[Package]:
    for path, content in records.items():
        if not NPM.match(path):
            continue
        try:
            document = json.loads(content)
            name, version = document["name"], document["version"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # a folder with a package.json that names no package
        if isinstance(name, str) and isinstance(version, str):
            yield _package("npm", name, version, path, (f"{posixpath.dirname(path)}/",))
