"""Shows that the worker's Node program works where it runs: two made-up versions, one diff.

They come from a registry of its own, on a free port of the loopback: no other network is needed.
"""

import base64
import hashlib
import io
import json
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from worker.change import Change
from worker.npm_diff import DiffError, diff_versions

PACKAGE = "self-test"
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
        with _registry({"1.0.0": pack(OLD), "1.0.1": pack(NEW)}) as address:
            change = diff_versions(PACKAGE, "1.0.0", "1.0.1", registry=address, token=None)
    except (OSError, DiffError) as error:
        return _fail(f"{type(error).__name__}: {error}")
    if (found := _summary(change)) != EXPECTED:
        return _fail(f"expected {sorted(EXPECTED)}, found {sorted(found)}")
    files = [file.path for file in change.files]
    print(json.dumps({"self_test": "ok", "node": change.node, "files": files}))
    return 0


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return an npm tarball with these files, by path inside the package."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@contextmanager
def _registry(tarballs: Mapping[str, bytes]) -> Iterator[str]:
    """Serve one package with these tarballs, by version; yields the address."""
    answers: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing: standard error is for the failure."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        versions = {}
        for version, tarball in tarballs.items():
            answers[f"/{version}.tgz"] = tarball
            dist = {"tarball": f"{address}/{version}.tgz", "integrity": _integrity(tarball)}
            versions[version] = {"name": PACKAGE, "version": version, "dist": dist}
        answers[f"/{PACKAGE}"] = json.dumps({"name": PACKAGE, "versions": versions}).encode()
        # 0.01: seconds until a shutdown is noticed
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


def _integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _summary(change: Change) -> set[tuple[str, str, int, int]]:
    return {(f.path, f.status, f.added, len(f.gone)) for f in change.files}


def _fail(reason: str) -> int:
    print(json.dumps({"self_test": "failed", "reason": reason}), file=sys.stderr)
    return 1
