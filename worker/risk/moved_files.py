"""Files that took the place of another: moved to another folder, or with another hash in the name.

Build tools name files by their content (``chunk-BcXSligG.js``), so that each release removes and
adds them all. What stood in the removed file is then nothing new.
"""

import re
from collections import defaultdict
from dataclasses import replace

from worker.change import Change, FileChange
from worker.risk.file_role import Role, role, started

_HASH = re.compile(r"[-._][\w-]{6,40}(?=\.\w{1,10}$)")


def with_moves(change: Change) -> Change:
    """Return the change, with each file that took another's place given what that one lost.

    It stays an added file, for what looks at names. A removed and an added file belong together
    that are for the same (code does not come out of tests) and have the same name, folder and hash
    aside; of several, those with about as many lines. Each removed file goes with one added at the
    most.
    """
    entries = started(change)
    removed: dict[tuple[Role, str], list[FileChange]] = defaultdict(list)
    added: dict[tuple[Role, str], list[FileChange]] = defaultdict(list)
    for file in change.files:
        if file.status != "modified" and (file.lines or file.gone):
            side = removed if file.status == "removed" else added
            side[role(file.path, entries), _name(file.path)].append(file)
    places: dict[str, FileChange] = {}
    for key, new in added.items():
        old = sorted(removed.get(key, ()), key=lambda file: len(file.gone))
        new.sort(key=lambda file: len(file.lines))
        # from the largest down, so that what is left over is small
        places |= {n.path: _place(n, o) for n, o in zip(new[::-1], old[::-1], strict=False)}
    return replace(change, files=tuple(places.get(file.path, file) for file in change.files))


def _place(new: FileChange, old: FileChange) -> FileChange:
    return replace(new, gone=old.gone, longest_before=old.longest_before)


def _name(path: str) -> str:
    return _HASH.sub("", path.rpartition("/")[2][-200:], count=1)
