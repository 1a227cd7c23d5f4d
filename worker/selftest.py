"""Self-test of the worker: diff two sample versions with the Node program.

A temporary registry on the loopback interface serves them, so no other network is needed.
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
from worker.failure import ReviewError
from worker.npm_diff import diff_versions

PACKAGE = "self-test"
OLD = {"package.json": b'{"version": "1.0.0"}\n', "index.js": b"a\nb\nc\n", "gone.js": b"x\n"}
NEW = {"package.json": b'{"version": "1.0.0"}\n', "index.js": b"a\nB\nc\n", "new.js": b"y\nz\n"}
# Path, status, number of added lines, number of removed lines.
EXPECTED = {
    ("gone.js", "removed", 0, 1),
    ("index.js", "modified", 1, 1),
    ("new.js", "added", 2, 0),
}


def self_test() -> int:
    """Diff the two versions, print one JSON line and return the exit status (0 or 1)."""
    try:
        with _registry({"1.0.0": _tarball(OLD), "1.0.1": _tarball(NEW)}) as address:
            change = diff_versions(PACKAGE, "1.0.0", "1.0.1", registry=address, token=None)
    except (OSError, ReviewError, KeyError, TypeError, ValueError) as error:
        return _fail(f"{type(error).__name__}: {error}")
    if (actual := _summary(change)) != EXPECTED:
        return _fail(f"expected {sorted(EXPECTED)}, got {sorted(actual)}")
    files = [file.path for file in change.files]
    print(json.dumps({"self_test": "ok", "node": change.node_version, "files": files}))
    return 0


def _tarball(files: Mapping[str, bytes]) -> bytes:
    """Return an npm tarball of files, by their path in the package."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@contextmanager
def _registry(tarballs: Mapping[str, bytes]) -> Iterator[str]:
    """Serve the package, with its tarballs by version; yield the registry's address."""
    responses: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = responses.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Log nothing: stderr is for the failure."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        versions = {}
        for version, tarball in tarballs.items():
            responses[f"/{version}.tgz"] = tarball
            dist = {"tarball": f"{address}/{version}.tgz", "integrity": _integrity(tarball)}
            versions[version] = {"name": PACKAGE, "version": version, "dist": dist}
        responses[f"/{PACKAGE}"] = json.dumps({"name": PACKAGE, "versions": versions}).encode()
        poll_seconds = 0.01  # time in which the server notices its shutdown
        thread = threading.Thread(target=server.serve_forever, args=(poll_seconds,), daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


def _integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _summary(change: Change) -> set[tuple[str, str, int, int]]:
    return {
        (file.path, file.status, len(file.added_lines), len(file.removed_lines))
        for file in change.files
    }


def _fail(reason: str) -> int:
    print(json.dumps({"self_test": "failed", "reason": reason}), file=sys.stderr)
    return 1
