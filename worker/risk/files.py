"""Signals in the files themselves: what they are, what they are called, and how large."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import ASIDE, Role, is_test, role, started
from worker.risk.signal import Seen, signal
from worker.risk.text import PATH_CHARS, printable

_PROGRAMS = frozenset({"elf", "mach-o", "pe"})
# Endings, by what they promise.
_MEDIA = re.compile(r"png|jpe?g|gif|webp|avif|ico|bmp|woff2?|[to]tf|eot|mp[34]|wav")
_PACKED = re.compile(r"zip|t?gz|tar|bz2|xz|7z|zst|br|jar")
_TEXT = re.compile(r"[cm]?[jt]s|[jt]sx|json|md|txt|html|css|svg|ya?ml|sh")
_NATIVE = re.compile(r"node|exe|dll|so|dylib")
_TWO_ENDINGS = re.compile(
    r"\.(?:png|jpe?g|gif|ico|svg|txt|md|pdf|css|json|woff2?)"
    r"\.(?:[cm]?js|sh|exe|dll|node|bat|cmd|ps1|scr|py)$",
    re.IGNORECASE,
)
_DOT_CODE = re.compile(r"^\.(?!\w{1,30}rc\.)[\w.-]{1,60}\.(?:[cm]?js|sh|exe|dll|node|bat|ps1|py)$")
_TOOLING = re.compile(
    r"(?:^|/)(?:\.github/(?:workflows|actions)/|\.vscode/|\.claude/|\.cursor/|\.husky/|\.git/|"
    r"\.npmrc$|\.yarnrc|\.gitattributes$|\.envrc$)"
)
_MIB = 1024 * 1024


@signal(
    "files.native",
    0.6,
    title="A program or native library (ELF, Mach-O, PE) was added or changed; WebAssembly half",
    why="Nobody can review it by reading: ua-parser-js and eslint-config-prettier brought theirs.",
)
def native(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at the kinds that run."""
    for file in _present(change):
        if file.kind in _PROGRAMS or file.kind == "wasm":
            share = (0.5 if file.kind == "wasm" else 1.0) * (1.0 if _is_added(file) else 0.7)
            yield Seen(f"{file.kind}, {file.size} bytes, {file.status}", file.path, share=share)


@signal(
    "files.binary",
    0.35,
    title="Another binary file or an archive was added or changed; less for pictures, and in tests",
    why="What it holds does not show in a diff: the back door of xz lay in a file for tests.",
)
def binary(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at binaries that do not run by themselves."""
    for file in _present(change):
        if file.kind in {"archive", "binary"}:
            share = 1.0 if _is_added(file) else 0.7
            share *= (
                0.15 if _MEDIA.fullmatch(_ending(file.path)) else 0.5 if is_test(file.path) else 1.0
            )
            yield Seen(f"{file.kind}, {file.size} bytes, {file.status}", file.path, share=share)


@signal(
    "files.disguised",
    0.8,
    title="A file is not what its name says: a program called .png, a text called .woff, a binary "
    "called .js",
    why="A wrong name keeps people from looking inside; one NUL byte in a script makes tools take "
    "it for a binary, and it still runs.",
)
def disguised(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare the ending with what the first bytes say."""
    for file in _present(change):
        share = _disguise(file)
        if share:
            share *= 0.5 if is_test(file.path) else 1.0
            yield Seen(f"its content is {file.kind}", file.path, share=share)


@signal(
    "files.hidden-name",
    0.8,
    title="The name of a new file hides something: invisible or look-alike letters, two endings",
    why="People see another name than the one that runs.",
)
def hidden_name(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at the names of new files."""
    for file in change.files:
        if file.status == "added":
            for text, share in _hides(file.path):
                yield Seen(text, file.path, share=share)


@signal(
    "files.unread",
    0.75,
    title="A file was not compared whole; less for data and tests",
    why="What could not be looked at is no pass. Padding a file is a way to stay unread: that of "
    "the Shai-Hulud worm came to 10 MB.",
)
def unread(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for texts, and what is called like one, that reached a bound."""
    shares = {Role.CODE: 1.0, Role.TEST: ASIDE, Role.DATA: 0.2, Role.DOCUMENT: 0.1}
    entries = started(change)
    for file in _present(change):
        called_text = _TEXT.fullmatch(_ending(file.path))
        if not file.whole and (file.kind == "text" or called_text):
            text = f"{file.size} bytes, not read whole: {file.note or 'a bound was reached'}"
            yield Seen(text, file.path, share=shares[role(file.path, entries)])


@signal(
    "files.tooling",
    0.25,
    title="Configuration of developers' tools came or changed: workflows, editors, assistants",
    why="Tools run what stands there when the folder is opened or pushed; the Shai-Hulud worm "
    "spread by workflows. A package has no use for it.",
)
def tooling(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for paths that tools read."""
    for file in _present(change):
        if _TOOLING.search(file.path):
            yield Seen(f"read by developers' tools, {file.status}", file.path)


@signal(
    "files.executable",
    0.1,
    title="A new file is executable",
    why="Something is meant to run it.",
)
def executable(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at the mode of new files."""
    for file in change.files:
        if file.status == "added" and file.executable:
            yield Seen("executable", file.path, share=ASIDE if is_test(file.path) else 1.0)


@signal(
    "files.grown",
    0.25,
    title="The package unpacks to more than five times as much, and 1 MiB more",
    why="Something large came that the package did without until now.",
)
def grown(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare the sizes of the two versions."""
    old, new = change.old.unpacked_bytes, change.new.unpacked_bytes
    if new > 5 * old and new - old > _MIB:
        yield Seen(f"{old} bytes before, now {new}")


def _present(change: Change) -> Iterator[FileChange]:
    return (file for file in change.files if file.status != "removed")


def _is_added(file: FileChange) -> bool:
    return file.status == "added"


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path else ""


def _disguise(file: FileChange) -> float:
    """Return how much a file is not what it is called."""
    ending = _ending(file.path)
    media, packed, text = (e.fullmatch(ending) for e in (_MEDIA, _PACKED, _TEXT))
    if file.kind in _PROGRAMS:
        return 1.0 if media or packed or text or ending == "wasm" else 0.0
    if file.kind == "text":
        return 0.75 if file.size and (media or packed or _NATIVE.fullmatch(ending)) else 0.0
    if file.kind in {"archive", "wasm"}:
        return 0.75 if media or text else 0.0
    return 1.0 if text else 0.0


def _hides(path: str) -> Iterator[tuple[str, float]]:
    if printable(path, len(path) + 1) != path or len(path) > PATH_CHARS:
        yield "letters that do not show, or a name too long to be shown", 1.0
    if any(_mixes_scripts(part) for part in path.split("/")):
        yield "letters of another alphabet among Latin ones", 0.75
    if _TWO_ENDINGS.search(path[-40:]):
        yield "two endings", 0.75
    if path.endswith((" ", ".")):
        yield "ends with a space or a dot", 0.6
    if _DOT_CODE.match(path.rpartition("/")[2][:80]):
        yield "code under a name that lists leave out", 0.4


def _mixes_scripts(name: str) -> bool:
    letters = [c for c in name if c.isalpha()]
    return any(c.isascii() for c in letters) and any(
        unicodedata.name(c, "").startswith(("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"))
        for c in letters
        if not c.isascii()
    )
