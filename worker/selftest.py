"""Shows that the worker's Node program works where it runs: two made-up tarballs, one diff."""

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path

from worker.differ import DiffError, DiffResult, diff_tarballs

OLD = {"package.json": b'{"version": "1.0.0"}\n', "index.js": b"a\nb\nc\n", "gone.js": b"x\n"}
NEW = {"package.json": b'{"version": "1.0.0"}\n', "index.js": b"a\nB\nc\n", "new.js": b"y\nz\n"}
EXPECTED = {
    ("gone.js", "removed", 0, 1),
    ("index.js", "modified", 1, 1),
    ("new.js", "added", 2, 0),
}


def self_test() -> int:
    """Diff the two, print one JSON line, and return the exit status: 0 as expected, else 1."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            old, new = Path(directory, "old.tgz"), Path(directory, "new.tgz")
            pack(old, OLD)
            pack(new, NEW)
            result = diff_tarballs(old, new)
    except (OSError, DiffError) as error:
        return _fail(f"{type(error).__name__}: {error}")
    if (found := _summary(result)) != EXPECTED:
        return _fail(f"expected {sorted(EXPECTED)}, found {sorted(found)}")
    files = [file.path for file in result.files]
    print(json.dumps({"self_test": "ok", "node": result.node, "files": files}))
    return 0


def pack(path: Path, files: dict[str, bytes]) -> None:
    """Write an npm tarball with these files, by path inside the package; raises OSError."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _summary(result: DiffResult) -> set[tuple[str, str, int, int]]:
    return {(f.path, f.status, f.added, f.removed) for f in result.files}


def _fail(reason: str) -> int:
    print(json.dumps({"self_test": "failed", "reason": reason}), file=sys.stderr)
    return 1
