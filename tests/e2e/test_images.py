"""The built images: verification, layer sizes, SBOMs, saved archives and build secrets.

The planted faults, one or more for each check, are in tests/defects/.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imageproof.build import base_image
from imageproof.contract import Base, Contract
from imageproof.docker.client import Engine
from imageproof.image.sources import read_images
from tests.support.commands import ROOT, docker, inv


def test_verify_json_reports_that_everything_passes(built):
    outcome = inv("verify", "--static", "--format", "json")
    verdict = json.loads(outcome.output)
    assert outcome.status == 0
    assert verdict["passes"] is True
    assert {result["status"] for result in verdict["results"]} == {"pass", "not run"}
    assert verdict["images"].keys() == {"api", "worker", "cache"}


def test_layer_bytes_equal_those_of_docker_save(
    built, contract: Contract, engine: Engine, tmp_path
):
    """Compare with the size of each uncompressed layer in the archive of `docker save`."""
    reference = built.references["api"]
    facts = read_images(engine, [reference], tmp_path)[reference]
    assert facts is not None
    saved = subprocess.run(
        ["docker", "save", built.references["api"]], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        sizes = [archive.getmember(layer).size for layer in manifest["Layers"]]
    assert [layer.size for layer in facts.layers] == sizes
    assert facts.size <= contract.images["api"].size


def test_sbom_lists_the_locked_packages(built, tmp_path):
    """The npm packages too, although a bundle holds them all in one file."""
    outcome = inv("sbom", "--output", str(tmp_path))
    assert outcome.status == 0, outcome.messages
    sboms = {
        name: json.loads((tmp_path / f"{name}.cdx.json").read_text())["components"]
        for name in ("api", "worker", "cache")
    }
    for name in ("api", "worker"):
        lock = (ROOT / f"locks/{name}.txt").read_text()
        urls = [c["purl"] for c in sboms[name] if c.get("purl", "").startswith("pkg:pypi/")]
        assert urls
        assert [url for url in urls if url[9:].replace("@", "==") not in lock] == []
    npm = {c["name"] for c in sboms["worker"] if c.get("purl", "").startswith("pkg:npm/")}
    assert {"pacote", "libnpmdiff", "ssri"} <= npm
    assert {"redis-tools", "libc6"} <= {c["name"] for c in sboms["cache"]}


def _without_reasons(results):
    """Return results without the reasons why checks were not run: they name the options."""
    return [{key: value for key, value in r.items() if key != "reason"} for r in results]


def test_saved_image_has_the_same_verdict_as_the_image_in_the_engine(built, tmp_path):
    path = tmp_path / "api.tar"
    subprocess.run(["docker", "save", "-o", str(path), built.references["api"]], check=True)
    saved = json.loads(
        inv("verify", "--image", f"api={path}", "--static", "--format", "json").output
    )
    in_engine = json.loads(inv("verify", "--image", "api", "--static", "--format", "json").output)
    assert saved["passes"] is True
    assert _without_reasons(saved["results"]) == _without_reasons(in_engine["results"])
    assert saved["images"]["api"]["layers"] == in_engine["images"]["api"]["layers"]


def test_saved_image_needs_static(tmp_path):
    outcome = inv("verify", "--image", f"api={tmp_path}/x.tar")
    assert outcome.status == 2
    assert "--static" in outcome.messages


def test_unchanged_image_is_not_read_again(built, contract: Contract, engine: Engine, tmp_path):
    reference = built.references["api"]
    before = read_images(engine, [reference], tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert read_images(engine, [reference], tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


def test_modes_of_a_checkout_do_not_miss_the_build_cache(built, base_image, tmp_path: Path):
    """Neither umask 077 nor an archive without git: only steps that copy sources run again."""
    root, name = tmp_path / "sources", f"ops-{secrets.token_hex(4)}"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "node_modules", "dist"))
    shutil.copy(ROOT / ".dockerignore", root)
    shutil.copy(ROOT / "worker/diff/.npmrc", root / "worker/diff")
    compose_file = root / "compose.yaml"
    compose_file.write_text(compose_file.read_text().replace("upgrade-gate", name))
    for path in [root, *root.rglob("*")]:
        path.chmod(0o700)
    tags = [f"{name}/{image}:local" for image in built.references]
    try:
        outcome = inv("build", IMAGEPROOF_ROOT=str(root), PYTHON_BASE=base_image)
        assert outcome.status == 0, outcome.messages
        assert " RUN " not in outcome.messages
        for tag, own in zip(tags, built.references.values(), strict=True):
            layers = ("image", "inspect", "-f", "{{.RootFS.Layers}}")
            assert docker(*layers, tag) == docker(*layers, own)
    finally:
        subprocess.run(["docker", "image", "rm", "-f", *tags], capture_output=True)


# A base with Python and a library of it in /usr/local, as in python:3.11-slim. Only the loader's
# cache leads to the library there.
USR_LOCAL = """
FROM {base}
RUN set -eux; \\
    rm -rf /usr/local/lib/python3.11; \\
    mv /usr/lib/python3.11 /usr/local/lib/python3.11; \\
    mv /usr/bin/python3.11 /usr/local/bin/python3.11; \\
    ln -s python3.11 /usr/local/bin/python3; \\
    mv /usr/lib/x86_64-linux-gnu/libexpat.so.1* /usr/local/lib/; \\
    ldconfig; \\
    python3.11 -c "import sys; assert sys.prefix == '/usr/local', sys.prefix"
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
"""

CANARY = "canary-7f3b9c1e5a"


def test_base_with_python_in_usr_local_builds_without_leaking_secrets(
    engine, base_image, scratch_image, tmp_path: Path
):
    base = scratch_image(USR_LOCAL.format(base=base_image))
    tag = f"{base.partition(':')[0]}:built"
    digest = docker("image", "inspect", "-f", "{{.Id}}", base)
    secrets = []
    for name, text in (
        ("ca", Path("/etc/ssl/certs/ca-certificates.crt").read_text()),
        ("pip", f"[global]\n# {CANARY}-pip\ndisable-pip-version-check = true\n"),
        ("npm", f"# {CANARY}-npm\n"),
    ):
        path = tmp_path / name
        path.write_text(text + (f"\n# {CANARY}-ca\n" if name == "ca" else ""))
        secrets += ["--secret", f"id={name},src={path}"]
    try:
        result = subprocess.run(
            ["docker", "buildx", "build", "--no-cache", "--target", "runtime", "-t", tag,
             "-f", str(ROOT / "ops/dockerfiles/Dockerfile.api"),
             "--build-arg", f"PYTHON_BASE={base}", "--build-arg", "VERSION=1",
             "--build-arg", f"BASE_DIGEST={digest}",
             *secrets, str(ROOT)],
            capture_output=True, text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        assert CANARY not in result.stderr
        saved = subprocess.run(["docker", "save", tag], capture_output=True, check=True).stdout
        assert CANARY.encode() not in saved
        with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
            assert any(name.startswith("blobs/") or "layer" in name for name in archive.getnames())
        outcome = inv("verify", "--image", f"api={tag}")
        assert outcome.status == 0, outcome.output
        started = docker("run", "--rm", "--network=none", "--read-only", tag, "python", "-c",
                         "import sys, app.main; print(sys.base_prefix)")  # fmt: skip
        assert started == "/usr/local"
    finally:
        subprocess.run(["docker", "image", "rm", "-f", tag], capture_output=True)


def test_build_secret_reaches_the_build(engine, base_image, scratch_image, tmp_path: Path):
    """The control of the test above: a build step can read the secret."""
    (tmp_path / "pip").write_text(CANARY)
    (tmp_path / "Dockerfile.secret").write_text(
        f"FROM {base_image}\nRUN --mount=type=secret,id=pip grep -q {CANARY[:6]} /run/secrets/pip\n"
    )
    command = ["docker", "buildx", "build", "-q", "-f", str(tmp_path / "Dockerfile.secret")]
    command += ["--no-cache", "--secret", f"id=pip,src={tmp_path}/pip", str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    (tmp_path / "pip").write_text("")
    assert subprocess.run(command, capture_output=True).returncode != 0


@pytest.fixture
def made_base(contract: Contract) -> Iterator[Contract]:
    """Return a contract whose made base image has a tag of its own; remove its images."""
    base = Base(suite=f"ops-e2e-{secrets.token_hex(4)}")
    yield contract.model_copy(update={"base": base})
    subprocess.run(["docker", "image", "rm", "--force", base.local_tag], capture_output=True)


def test_base_image_that_is_made_again_replaces_the_former_one(
    made_base: Contract, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def write_archive(_: Contract, archive: Path, __: str) -> None:
        with tarfile.open(archive, "w") as tar:
            tar.addfile(tarfile.TarInfo(f"file-{secrets.token_hex(4)}"))

    monkeypatch.setattr(base_image, "_run_mmdebstrap", write_archive)
    (tmp_path / "mmdebstrap").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    first = base_image.make(made_base, engine).digest
    container = docker("container", "create", first, "/absent")
    try:
        second = base_image.make(made_base, engine).digest
        assert engine.image(first), "a container uses it"
        third = base_image.make(made_base, engine).digest
        assert engine.image(second) is None
        assert engine.image(third)
    finally:
        docker("container", "rm", container)
        docker("image", "rm", "--force", first)
