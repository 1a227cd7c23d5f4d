"""Signals in files: their kind, name, mode and size."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import INACTIVE_SHARE, Role, is_test, named_role, roles
from worker.risk.signal import Observation, signal
from worker.risk.text import MAX_PATH_CHARS, printable

_PROGRAMS = frozenset({"elf", "mach-o", "pe"})
# File name extensions.
_MEDIA = re.compile(r"png|jpe?g|gif|webp|avif|ico|bmp|woff2?|[to]tf|eot|mp[34]|wav")
_ARCHIVE = re.compile(r"zip|t?gz|tar|bz2|xz|7z|zst|br|jar")
_TEXT = re.compile(r"[cm]?[jt]s|[jt]sx|json|md|txt|html|css|svg|ya?ml|sh")
_NATIVE_CODE = re.compile(r"node|exe|dll|so|dylib")
_TWO_EXTENSIONS = re.compile(
    r"\.(?:png|jpe?g|gif|ico|svg|txt|md|pdf|css|json|woff2?)"
    r"\.(?:[cm]?js|sh|exe|dll|node|bat|cmd|ps1|scr|py)$",
    re.IGNORECASE,
)
_HIDDEN_CODE = re.compile(
    r"^\.(?!\w{1,30}rc\.)[\w.-]{1,60}\.(?:[cm]?js|sh|exe|dll|node|bat|ps1|py)$"
)
_TOOLING = re.compile(
    r"(?:^|/)(?:\.github/(?:workflows|actions)/|\.vscode/|\.claude/|\.cursor/|\.husky/|\.git/|"
    r"\.npmrc$|\.yarnrc|\.gitattributes$|\.envrc$)"
)
_UNSUSPICIOUS = re.compile(r"\.(?:json|css|s[ac]ss|less|d\.[cm]?ts)$|\*")
_MIB = 1024 * 1024


@signal(
    "files.native",
    0.6,
    title="A program or native library (ELF, Mach-O, PE) was added or changed; WebAssembly half",
    why="It cannot be reviewed by reading: attackers shipped one in ua-parser-js and "
    "eslint-config-prettier.",
)
def native(change: Change, _: datetime) -> Iterator[Observation]:
    """Find files of executable kinds."""
    for file in _remaining_files(change):
        if file.kind in _PROGRAMS or file.kind == "wasm":
            share = (0.5 if file.kind == "wasm" else 1.0) * (1.0 if _is_added(file) else 0.7)
            yield Observation(_description(file), file.path, share=share)


@signal(
    "files.binary",
    0.35,
    title="Another binary file or archive was added or changed; less for pictures and in tests",
    why="A diff does not show its content: the back door in xz was in a test file.",
)
def binary(change: Change, _: datetime) -> Iterator[Observation]:
    """Find binary files that are not executable."""
    for file in _remaining_files(change):
        if file.kind in {"archive", "binary"}:
            share = 1.0 if _is_added(file) else 0.7
            if _MEDIA.fullmatch(_extension(file.path)):
                share *= 0.15
            elif is_test(file.path):
                share *= 0.5
            yield Observation(_description(file), file.path, share=share)


@signal(
    "files.disguised",
    0.8,
    title="A file's content contradicts its name: a program named .png, a text named .woff, a "
    "binary named .js",
    why="A wrong name keeps people from opening the file. A script with a NUL byte looks like a "
    "binary to tools, but still runs.",
)
def disguised(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare the extension with the kind of the content."""
    for file in _remaining_files(change):
        share = _disguise_share(file)
        if share:
            share *= 0.5 if is_test(file.path) else 1.0
            yield Observation(f"its content is {file.kind}", file.path, share=share)


@signal(
    "files.hidden-name",
    0.8,
    title="A new file has a deceptive name: invisible or look-alike letters, two extensions",
    why="People see another name than the program that runs the file.",
)
def hidden_name(change: Change, _: datetime) -> Iterator[Observation]:
    """Check the names of new files."""
    for file in change.files:
        if file.status == "added":
            for text, share in _deceptions(file.path):
                yield Observation(text, file.path, share=share)


@signal(
    "files.unread",
    0.75,
    title="A file was not compared completely; less for data and tests",
    why="An unread file must not pass. Padding keeps a file unread: the Shai-Hulud worm's file had "
    "10 MB.",
)
def unread(change: Change, _: datetime) -> Iterator[Observation]:
    """Find texts and files with a text's extension that exceeded a limit, and code not read."""
    shares = {Role.CODE: 1.0, Role.TEST: INACTIVE_SHARE, Role.DATA: 0.2, Role.DOCUMENT: 0.1}
    known = roles(change)
    for file in _remaining_files(change):
        extension = _extension(file.path)
        named_as_text = not extension or _TEXT.fullmatch(extension)
        # Node runs a script that begins like an archive. It never runs the others as JavaScript.
        runs = known.runs(file.path) and file.kind in {"text", "archive", "binary", "pe"}
        is_media = _MEDIA.fullmatch(extension) or _NATIVE_CODE.fullmatch(extension)
        is_read = file.complete and (is_media or file.note != "binary" or file.kind == "text")
        if (not is_read and runs) or (not file.complete and (file.kind == "text" or named_as_text)):
            text = f"{file.size} bytes, not compared completely: {file.note or 'above a limit'}"
            share = 1.0 if runs else shares[known.by_path[file.path]]
            yield Observation(text, file.path, share=share)
    changed = {file.path for file in change.files}
    for path in sorted(known.new_entries - changed):
        # Packages of styles and types name those as entry points.
        if not _UNSUSPICIOUS.search(path) and named_role(path) in {Role.DATA, Role.DOCUMENT}:
            yield Observation("runs now, but was never searched as code", path)


@signal(
    "files.tooling",
    0.25,
    title="Configuration of developer tools was added or changed: workflows, editors, assistants",
    why="Tools run its commands when the folder is opened or pushed; the Shai-Hulud worm spread by "
    "workflows. A published package does not need it.",
)
def tooling(change: Change, _: datetime) -> Iterator[Observation]:
    """Find files that developer tools read."""
    for file in _remaining_files(change):
        if _TOOLING.search(file.path):
            yield Observation(f"read by developer tools, {file.status}", file.path)


@signal(
    "files.executable",
    0.1,
    title="A new file is executable",
    why="The file is meant to be run.",
)
def executable(change: Change, _: datetime) -> Iterator[Observation]:
    """Check the mode of new files."""
    for file in change.files:
        if file.status == "added" and file.executable:
            share = INACTIVE_SHARE if is_test(file.path) else 1.0
            yield Observation("executable", file.path, share=share)


@signal(
    "files.grown",
    0.25,
    title="The unpacked size grew more than fivefold and by more than 1 MiB",
    why="The package got along without this content before.",
)
def grown(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare the unpacked sizes of the two versions."""
    old, new = change.old.unpacked_bytes, change.new.unpacked_bytes
    if new > 5 * old and new - old > _MIB:
        yield Observation(f"{new} bytes, before {old}")


def _remaining_files(change: Change) -> Iterator[FileChange]:
    """Yield the added and modified files."""
    return (file for file in change.files if file.status != "removed")


def _is_added(file: FileChange) -> bool:
    return file.status == "added"


def _description(file: FileChange) -> str:
    return f"{file.kind}, {file.size} bytes, {file.status}"


def _extension(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path else ""


def _disguise_share(file: FileChange) -> float:
    """Return the share for a content that contradicts the extension; 0 if it does not."""
    extension = _extension(file.path)
    media, archive = _MEDIA.fullmatch(extension), _ARCHIVE.fullmatch(extension)
    text = _TEXT.fullmatch(extension)
    if file.kind in _PROGRAMS:
        return 1.0 if media or archive or text or extension == "wasm" else 0.0
    if file.kind == "text":
        native_code = _NATIVE_CODE.fullmatch(extension)
        return 0.75 if file.size and (media or archive or native_code) else 0.0
    if file.kind in {"archive", "wasm"}:
        return 0.75 if media or text else 0.0
    return 1.0 if text else 0.0


def _deceptions(path: str) -> Iterator[tuple[str, float]]:
    """Yield each deception in a name, with its share."""
    if printable(path, len(path) + 1) != path or len(path) > MAX_PATH_CHARS:
        yield "invisible letters, or a name too long to be shown", 1.0
    if any(_mixes_scripts(part) for part in path.split("/")):
        yield "letters of another alphabet among Latin ones", 0.75
    if _TWO_EXTENSIONS.search(path[-40:]):
        yield "two extensions", 0.75
    if path.endswith((" ", ".")):
        yield "ends with a space or a dot", 0.6
    if _HIDDEN_CODE.match(path.rpartition("/")[2][:80]):
        yield "code in a hidden file", 0.4


def _mixes_scripts(name: str) -> bool:
    letters = [c for c in name if c.isalpha()]
    return any(c.isascii() for c in letters) and any(
        unicodedata.name(c, "").startswith(("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"))
        for c in letters
        if not c.isascii()
    )
