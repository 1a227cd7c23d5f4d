"""Signals in how code is written: so that people do not read it."""

import re
from collections.abc import Iterator
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import ASIDE, Role, is_remark, news, role, sources, started
from worker.risk.pattern import Pattern, any_of, patterns, words
from worker.risk.signal import Seen, signal
from worker.risk.text import excerpt

PACKED_CHARS = 2000
"""Length of a line from which code counts as packed; people write none so long."""
_READABLE_CHARS = 500
_BUILT = re.compile(r"(?:^|/)(?:dist|build|umd|esm|cjs|bundles?|min)/|[.-](?:min|prod|bundle)\.")
_JOINT = re.compile(r"[\"'`]\s{0,8}\+\s{0,8}[\"'`]")
_WORDS = re.compile(
    r"child_process|https?://|\.npmrc|process\.env|\b(?:eval|require|execSync|spawnSync|Function)\b"
)
_LOADS = re.compile(
    r"\b(?:require|import|from|readFile|readFileSync|createReadStream|join|_compile)\b"
)
_LITERAL = re.compile(r"[\"'`]([\w@./\\ -]{3,200}+)[\"'`]")
_TEST_PATH = re.compile(
    r"^(?:\.{0,2}/)*(?:[\w-]{1,40}/){0,3}(?:tests?|__tests__|fixtures?|specs?)/"
)
_NO_CODE = re.compile(
    r"^\.{1,2}/.{0,190}\.(?:txt|md|html?|css|ya?ml|png|jpe?g|gif|ico|svg|woff2?|ttf|dat|bin|log|map|xz|gz|zip)$"
)


@signal(
    "code.minified",
    0.5,
    title="Readable code became packed; less for a new packed file, and in build folders",
    why="Nobody reads a line of thousands of characters: what was put into chalk, debug and "
    "flatmap-stream was one.",
)
def minified(change: Change, _: datetime) -> Iterator[Seen]:
    """Compare the longest lines; a remark, such as an inlined source map, is no code."""
    entries = started(change)
    for file in change.files:
        what = role(file.path, entries)
        if what in {Role.CODE, Role.TEST} and _was_packed(file):
            share = 1.0 if file.status == "modified" else 0.5
            share *= 0.4 if _BUILT.search(file.path) else 1.0
            share *= ASIDE if what is Role.TEST else 1.0
            text = f"longest line {file.longest_before} characters before, now {file.longest}"
            yield Seen(text, file.path, share=share)


def _was_packed(file: FileChange) -> bool:
    if file.kind != "text" or file.status == "removed" or file.longest < PACKED_CHARS:
        return False
    if file.longest_before >= _READABLE_CHARS:
        return False
    long = [line for _, line in file.lines if len(line) >= PACKED_CHARS]
    return not long or not all(map(is_remark, long))  # none: the line was cut, or not compared


patterns(
    "code.off-screen",
    0.6,
    Pattern("stands far to the right of nothing", any_of(r"[ \t](?<![ \t]{2})[ \t]{149,}+\S")),
    title="Code stands behind 150 spaces or more",
    why="Editors and diffs show an empty line: rand-user-agent was hidden so in 2025.",
)

patterns(
    "code.obfuscated",
    0.8,
    Pattern("names of an obfuscator", any_of(r"_0x[0-9a-fA-F]{4,8}\b")),
    Pattern("code of brackets alone", any_of(r"[\[\]()!+]{80,}+")),
    Pattern(
        "text as numbers",
        any_of(
            r"\\x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2}){9,}+",
            r"\\u00[0-7][0-9a-fA-F](?:\\u00[0-7][0-9a-fA-F]){7,}+",
            r"fromCharCode\s{0,4}\((?:\s{0,4}\d{1,5}\s{0,4},){7,}+",
            words(
                "require",
                r"\s{0,4}\(\s{0,4}(?:(?:Buffer|atob|String)\b|\w{1,30}\s{0,4}\(\s{0,4}\d)",
            ),
        ),
        share=0.6,
    ),
    title="Code is obfuscated: names of an obfuscator, text as numbers, code of brackets alone",
    why="Somebody took pains that it is not understood. An honest package has nothing to hide.",
)

patterns(
    "code.invisible",
    0.8,
    # Runs that no writing and no emoji has: a flag is seven tags long.
    *(
        Pattern("letters that do not show", any_of(f"[{letters}][{letters}]{{{more},}}+"))
        for letters, more in [
            ("\ufe00-\ufe0f\U000e0100-\U000e01ef", 2),
            ("\U000e0000-\U000e007f", 8),
            ("\u200b\u200c\u2060-\u2064\ufeff", 3),
            ("\u115f\u1160\u3164\uffa0", 0),
        ]
    ),
    Pattern("letters that turn the line around", any_of("[\u202a-\u202e\u2066-\u2069]")),
    title="Code has letters that do not show, or that show it in another order",
    why="GlassWorm (2025) was written in them, and Trojan Source (2021) is made of them.",
)

patterns(
    "code.decode",
    0.25,
    Pattern("decrypts", any_of(words("createDecipher createDecipheriv", r"\s{0,4}\("))),
    Pattern(
        "decodes",
        any_of(
            r",\s{0,4}[\"'`](?:base64|hex)[\"'`]\s{0,4}\)",
            words("atob", r"\s{0,4}\(", not_after=r"[\w$]"),
        ),
        share=0.5,
    ),
    title="Something is decrypted, or decoded (half)",
    why="flatmap-stream came encrypted, for one victim alone.",
)


@signal(
    "code.split-names",
    0.5,
    title="A telling word is put together of pieces: 'child_' + 'process'",
    why="It is written so for searches, like the ones here, to miss it.",
)
def split_names(change: Change, _: datetime) -> Iterator[Seen]:
    """Join the pieces of texts, and see whether that makes a word that was not there."""
    for file, share in sources(change):
        gone = {line.strip() for line in file.gone}
        for number, line in file.lines:
            piece = _JOINT.search(line)
            if piece is None or line.strip() in gone:
                continue
            if len(_WORDS.findall(_JOINT.sub("", line))) > len(_WORDS.findall(line)):
                yield Seen(excerpt(line, piece.start()), file.path, number, share)


@signal(
    "code.odd-load",
    0.6,
    title="Code loads from tests, or what is no code: a text, a picture; less where it only reads",
    why="Payloads lie where nobody looks: flatmap-stream's in test/data.js, the back door of xz "
    "in a broken archive among the tests.",
)
def odd_load(change: Change, _: datetime) -> Iterator[Seen]:
    """Look at relative paths that are loaded by code that is no test."""
    for file, share in sources(change):
        if share == 1.0:
            yield from loads(file)


def loads(file: FileChange) -> Iterator[Seen]:
    """Yield the odd paths that new lines of one file load."""
    for new in news(file, _LITERAL, every=True):
        part = new.line[max(0, new.at - 100) : new.at + 1]
        path = new.match.group(1)
        found = _LOADS.search(part)
        if found and _TEST_PATH.match(path):
            yield Seen(f"loads from tests: {path}", file.path, new.number)
        elif found and _NO_CODE.match(path):
            share = 0.75 if found.group() in {"require", "import", "_compile"} else 0.25
            yield Seen(f"loads what is no code: {path}", file.path, new.number, share)
