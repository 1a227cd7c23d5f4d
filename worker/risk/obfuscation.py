"""Signals in the form of code: written so that people do not read or understand it."""

import re
from collections.abc import Iterator
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import INACTIVE_SHARE, Role, code_files, named_role, role_of
from worker.risk.new_matches import is_comment, new_matches
from worker.risk.pattern import Pattern, any_of, pattern_signal, words
from worker.risk.signal import Observation, signal
from worker.risk.text import excerpt

MIN_MINIFIED_CHARS = 2000
"""Line length from which code counts as minified; people do not write such lines."""
_MAX_READABLE_CHARS = 500
_BUILD_FOLDER = re.compile(
    r"(?:^|/)(?:dist|build|umd|esm|cjs|bundles?|min)/|[.-](?:min|prod|bundle)\."
)
_CONCATENATION = re.compile(r"[\"'`]\s{0,8}\+\s{0,8}[\"'`]")
_SUSPICIOUS_WORDS = re.compile(
    r"child_process|https?://|\.npmrc|process\.env|\b(?:eval|require|execSync|spawnSync|Function)\b"
)
_LOADS = re.compile(
    r"\b(?:require|import|from|readFile|readFileSync|createReadStream|join|_compile)\b"
)
_LITERAL = re.compile(r"[\"'`]([\w@./\\ -]{3,200}+)[\"'`]")
_TEST_PATH = re.compile(
    r"^(?:\.{0,2}/)*(?:[\w-]{1,40}/){0,3}(?:tests?|__tests__|fixtures?|specs?)/"
)
_NOT_CODE = re.compile(
    r"^\.{1,2}/.{0,190}\.(?:txt|md|markdown|mdx|rst|adoc|html?|css|s[ac]ss|less|flow|"
    r"ya?ml|toml|xml|csv|tsv|lock|snap|ini|graphql|proto|json5|jsonc|png|jpe?g|gif|ico|svg|woff2?|ttf|dat|bin|log|map|xz|gz|zip)$"
)


@signal(
    "code.minified",
    0.5,
    title="Readable code became minified; less for a new minified file and in build folders",
    why="People do not read lines of thousands of characters: the payloads in chalk, debug and "
    "flatmap-stream were such lines.",
)
def minified(change: Change, _: datetime) -> Iterator[Observation]:
    """Compare the longest lines, without comments such as an inlined source map."""
    roles = role_of(change)
    for file in change.files:
        role = roles[file.path]
        if named_role(file.path) in {Role.DATA, Role.DOCUMENT}:  # minified styles are ordinary
            continue
        if role in {Role.CODE, Role.TEST} and _became_minified(file):
            share = 1.0 if file.status == "modified" else 0.5
            share *= 0.4 if _BUILD_FOLDER.search(file.path) else 1.0
            share *= INACTIVE_SHARE if role is Role.TEST else 1.0
            text = (
                f"the longest line has {file.longest_line} characters, "
                f"before {file.longest_line_before}"
            )
            yield Observation(text, file.path, share=share)


def _became_minified(file: FileChange) -> bool:
    if file.kind != "text" or file.status == "removed" or file.longest_line < MIN_MINIFIED_CHARS:
        return False
    if file.longest_line_before >= _MAX_READABLE_CHARS:
        return False
    long_lines = [line for _, line in file.added_lines if len(line) >= MIN_MINIFIED_CHARS]
    if not long_lines:  # a limit cut the line, or left it out
        return True
    return not all(map(is_comment, long_lines))


pattern_signal(
    "code.off-screen",
    0.6,
    Pattern("stands after 150 spaces", any_of(r"[ \t](?<![ \t]{2})[ \t]{149,}+\S")),
    title="Code stands after 150 spaces or more",
    why="Editors and diffs show an empty line. rand-user-agent (2025) hid its code this way.",
)

pattern_signal(
    "code.obfuscated",
    0.8,
    Pattern("names from an obfuscator", any_of(r"_0x[0-9a-fA-F]{4,8}\b")),
    Pattern("code of brackets only", any_of(r"[\[\]()!+]{80,}+")),
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
    title="Code is obfuscated: names from an obfuscator, text as numbers, code of brackets only",
    why="An honest package has no reason to hide its code.",
)

pattern_signal(
    "code.invisible",
    0.8,
    # More in a row than any script or emoji needs: a flag has seven tag characters.
    *(
        Pattern("invisible characters", any_of(f"[{letters}][{letters}]{{{more},}}+"))
        for letters, more in [  # at least `more` characters after the first one
            ("\ufe00-\ufe0f\U000e0100-\U000e01ef", 2),
            ("\U000e0000-\U000e007f", 8),
            ("\u200b\u200c\u2060-\u2064\ufeff", 3),
            ("\u115f\u1160\u3164\uffa0", 0),
        ]
    ),
    Pattern("characters that reorder the line", any_of("[\u202a-\u202e\u2066-\u2069]")),
    title="Code contains characters that are invisible or that reorder the line",
    why="GlassWorm (2025) and Trojan Source (2021) consist of such characters.",
)

pattern_signal(
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
    title="Code decrypts something, or decodes it (half)",
    why="The payload of flatmap-stream was encrypted for one victim.",
)


@signal(
    "code.split-names",
    0.5,
    title="A suspicious word is split into pieces: 'child_' + 'process'",
    why="The purpose is to evade searches like these.",
)
def split_names(change: Change, _: datetime) -> Iterator[Observation]:
    """Join concatenated strings and check whether a new suspicious word appears."""
    for file, share in code_files(change):
        removed = {line.strip() for line in file.removed_lines}
        for number, line in file.added_lines:
            first_joint = _CONCATENATION.search(line)
            if first_joint is None or line.strip() in removed:
                continue
            joined = _CONCATENATION.sub("", line)
            if len(_SUSPICIOUS_WORDS.findall(joined)) > len(_SUSPICIOUS_WORDS.findall(line)):
                yield Observation(excerpt(line, first_joint.start()), file.path, number, share)


@signal(
    "code.odd-load",
    0.6,
    title="Code loads a file from tests, or a text or picture; less if it only reads the file",
    why="Payloads hide in files that people skip: flatmap-stream used test/data.js, the back door "
    "in xz a broken archive among the tests.",
)
def odd_load(change: Change, _: datetime) -> Iterator[Observation]:
    """Find relative paths that code outside tests loads."""
    for file, share in code_files(change):
        if share == 1.0:
            yield from odd_loads(file)


def odd_loads(file: FileChange) -> Iterator[Observation]:
    """Yield the unusual paths that added lines of one file load."""
    for new in new_matches(file, _LITERAL, all_in_line=True):
        path = new.match.group(1)
        from_tests = _TEST_PATH.match(path)
        if not (from_tests or _NOT_CODE.match(path)):
            continue
        load = _LOADS.search(new.line[max(0, new.at - 100) : new.at + 1])
        if load and from_tests:
            yield Observation(f"loads from tests: {path}", file.path, new.number)
        elif load:
            share = 0.75 if load.group() in {"require", "import", "_compile"} else 0.25
            yield Observation(
                f"loads a file that is not code: {path}", file.path, new.number, share
            )
