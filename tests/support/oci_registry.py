"""Real container registry for the end-to-end tests: Debian's, on a free loopback port."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.commands import stop_process, wait_until

# A user, a password, and their line of `htpasswd -B`.
USER, PASSWORD = "somebody", "word-of-a-test"
HTPASSWD = "somebody:$2b$05$wG2nUgoq..YMaReMgaJthOuD2/vRfw3FQZS0OGQG9Ocb/H1EbMvm6\n"
CONFIG = """
version: 0.1
log: {{ level: info, accesslog: {{ disabled: false }} }}
storage:
  filesystem: {{ rootdirectory: {folder}/data }}
  delete: {{ enabled: true }}
http: {{ addr: "127.0.0.1:0", secret: of-a-test }}
{auth}
"""
AUTH = "auth: {{ htpasswd: {{ realm: a-test, path: {folder}/htpasswd }} }}"
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class OciRegistry:
    """A running registry."""

    host: str
    folder: Path

    def _manifest(self, path: str, tag: str) -> httpx.Response:
        address = f"http://{self.host}/v2/{path}/manifests/{tag}"
        return httpx.get(address, headers={"Accept": ", ".join(MANIFESTS)})

    def digest(self, path: str, tag: str) -> str | None:
        """Return the digest of a tag; None if the registry does not have the tag."""
        response = self._manifest(path, tag)
        return response.headers["Docker-Content-Digest"] if response.status_code == 200 else None

    def layers(self, path: str, tag: str) -> list[str]:
        """Return the digests of an image's layers in the registry."""
        return [layer["digest"] for layer in self._manifest(path, tag).json()["layers"]]

    def count_requests(self, part: str) -> int:
        """Return the number of logged requests that contain `part`, a regular expression."""
        return len(re.findall(rf'"\w+ [^"]*{part}[^"]*"', (self.folder / "log").read_text()))

    @contextlib.contextmanager
    def corrupted(self, digest: str) -> Iterator[None]:
        """Flip the last bit of a stored blob inside the block."""
        name = digest.partition(":")[2]
        path = self.folder / f"data/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"
        content = path.read_bytes()
        try:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            yield
        finally:
            path.write_bytes(content)


@contextlib.contextmanager
def serving(folder: Path, *, requires_login: bool = False) -> Iterator[OciRegistry]:
    """Run a registry inside the block. `requires_login`: as USER with PASSWORD."""
    program = shutil.which("docker-registry")
    assert program, "the tests need docker-registry: as root, ./inv provision"
    folder.mkdir(parents=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = AUTH.format(folder=folder) if requires_login else ""
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, auth=auth))
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        listening = re.compile(r"listening on (127\.0\.0\.1:\d+)")

        def listens() -> bool:
            assert process.poll() is None, f"docker-registry ended:\n{log.read_text()}"
            return bool(listening.search(log.read_text()))

        wait_until(listens, 30, "docker-registry does not listen")
        address = listening.search(log.read_text())
        assert address
        yield OciRegistry(address[1], folder)
    finally:
        stop_process(process, 10)
