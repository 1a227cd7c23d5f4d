"""Files that were moved to another folder, or have another hash in their name.

Build tools name files by their content (``chunk-BcXSligG.js``), so each release removes and adds
all of them. The removed file's content is then not new.
"""

import re
from collections import defaultdict
from dataclasses import replace

from worker.change import Change, FileChange
from worker.risk.file_role import Role, role_of

_HASH = re.compile(r"[-._][\w-]{6,40}(?=\.\w{1,10}$)")


def with_moves(change: Change) -> Change:
    """Return the change, with the removed lines of each moved file in its added file.

    The file's status stays "added", for signals that check names. A removed and an added file
    match if they have the same role (code does not come from tests) and the same name without
    folder and hash. Several candidates are sorted by length and matched in pairs.
    """
    roles = role_of(change)
    removed: dict[tuple[Role, str], list[FileChange]] = defaultdict(list)
    added: dict[tuple[Role, str], list[FileChange]] = defaultdict(list)
    for file in change.files:
        if file.status != "modified" and (file.added_lines or file.removed_lines):
            side = removed if file.status == "removed" else added
            side[roles[file.path], _stable_name(file.path)].append(file)
    moved: dict[str, FileChange] = {}
    for key, candidates in added.items():
        old_files = sorted(removed.get(key, ()), key=lambda file: len(file.removed_lines))
        new_files = sorted(candidates, key=lambda file: len(file.added_lines))
        # From the longest down: the files that find no partner are short.
        pairs = zip(reversed(new_files), reversed(old_files), strict=False)
        moved |= {new.path: _with_removed_lines(new, old) for new, old in pairs}
    return replace(change, files=tuple(moved.get(file.path, file) for file in change.files))


def _with_removed_lines(new: FileChange, old: FileChange) -> FileChange:
    return replace(
        new, removed_lines=old.removed_lines, longest_line_before=old.longest_line_before
    )


def _stable_name(path: str) -> str:
    """Return the file's name without its folder and hash."""
    return _HASH.sub("", path.rpartition("/")[2][-200:], count=1)
