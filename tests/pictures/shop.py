"""The verdict on a made-up shop of three services, from sample facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from imageproof.checks.check import choose_checks
from imageproof.image.facts import ImageFacts, Layer
from imageproof.image.sizes import layer_name, sizes_of
from imageproof.project.project_files import ProjectFiles
from imageproof.project.size_baseline import Baseline
from imageproof.runtime.containers import ContainerFacts
from imageproof.verify.judge import (
    ProjectFacts,
    SourceFiles,
    Subject,
    Verdict,
    judge,
    judge_project,
)
from tests.support import sample_facts as sample

MB = sample.MB
GROWTH = 320_000  # bytes
BASE = "python:3.11-slim"
# Bytes of files, by path, for each layer.
PYTHON = {
    "usr/lib/x86_64-linux-gnu/libcrypto.so.3": 4_800_000,
    "usr/lib/x86_64-linux-gnu/libc.so.6": 1_900_000,
    "usr/lib/x86_64-linux-gnu/libsqlite3.so.0": 1_500_000,
    "usr/lib/x86_64-linux-gnu/libssl.so.3": 690_000,
    "usr/local/lib/libpython3.11.so.1.0": 6_700_000,
    "usr/local/lib/python3.11/email/message.py": 420_000,
    "usr/local/lib/python3.11/asyncio/base_events.py": 510_000,
    "usr/local/lib/python3.11/lib-dynload/unicodedata.so": 1_150_000,
    "usr/local/lib/python3.11/lib-dynload/_decimal.so": 580_000,
    "usr/local/lib/python3.11/pydoc_data/topics.py": 730_000,
    "usr/share/zoneinfo/tzdata.zi": 2_100_000,
    "etc/ssl/certs/ca-certificates.crt": 220_000,
}
PACKAGES = {
    f"{sample.SITE_PACKAGES}/sqlalchemy/sql/compiler.py": 2_700_000,
    f"{sample.SITE_PACKAGES}/sqlalchemy/orm/session.py": 1_900_000,
    f"{sample.SITE_PACKAGES}/pydantic_core/_pydantic_core.so": 4_400_000,
    f"{sample.SITE_PACKAGES}/uvloop/loop.so": 3_900_000,
    f"{sample.SITE_PACKAGES}/httptools/parser.so": 1_100_000,
    f"{sample.SITE_PACKAGES}/jinja2/compiler.py": 620_000,
    f"{sample.SITE_PACKAGES}/starlette/routing.py": 480_000,
    f"{sample.SITE_PACKAGES}/redis/client.py": 740_000,
}
SHOP = {"srv/shop/static/app.js": 1_300_000, "srv/shop/static/app.css": 160_000}
MAILER = {"srv/mailer/templates.db": 680_000, "srv/mailer/__main__.py": 24_000}
CACHE = {"usr/bin/redis-server": 2_900_000, "usr/lib/x86_64-linux-gnu/libjemalloc.so.2": 690_000}


def shop_verdict(only: str | None = None) -> Verdict:
    """Return the verdict of all checks, or of the group `only`."""
    checks = choose_checks(only)
    subjects = (_shop(), _mailer(), _cache())
    contracts = {subject.name: subject.contract for subject in subjects}
    images = {subject.name: subject.image for subject in subjects if subject.image}
    project = ProjectFacts(images=images, variables=sample.variables())
    results = [result for subject in subjects for result in judge(checks, subject)]
    results += judge_project(checks, sample.contract(images=contracts), project)
    return Verdict(tuple(results), subjects, SourceFiles(root=Path("/nowhere")))


def _shop() -> Subject:
    """A root process, and an image over its budget with a setuid program."""
    sudo = sample.file("usr/bin/sudo", mode=0o4755)
    app = _layer("c", "COPY --chown=root:root shop /srv/shop", SHOP)
    image = _image(
        _layer("a", "ADD rootfs.tar.xz /", PYTHON),
        _layer("b", "RUN pip install --require-hashes -r requirements.txt", PACKAGES),
        replace(app, files=(*app.files, sudo)),
    )
    root = (0, 0, 0, 0)
    process = sample.process(uids=root, gids=root, groups=(0,))
    return _subject("shop", "36MB", image, sample.container(name="shop-1", processes=(process,)))


def _mailer() -> Subject:
    """A folder that every user may write, with a waiver."""
    spool = sample.file("var/spool/mailer", kind="folder", mode=0o777)
    app = _layer("d", "COPY mailer /srv/mailer", MAILER)
    image = _image(
        _layer("a", "ADD rootfs.tar.xz /", PYTHON), replace(app, files=(*app.files, spool))
    )
    waivers = {"fs.world-writable": "the virus scanner shares the spool until release 2.0"}
    return _subject("mailer", "30MB", image, sample.container(name="mailer-1"), waivers=waivers)


def _cache() -> Subject:
    """A small image on another base, without findings."""
    image = _image(_layer("e", "COPY /closure /", CACHE), base="debian:bookworm-slim")
    return _subject("cache", "8MB", image, sample.container(name="cache-1"))


def _subject(
    name: str, size: str, image: ImageFacts, container: ContainerFacts, **contract: Any
) -> Subject:
    return Subject(
        name,
        f"{name}:1.4.0",
        sample.service_contract(size=size, **contract),
        image,
        containers=[container],
    )


def _image(*layers: Layer, base: str = BASE) -> ImageFacts:
    program = sample.file("usr/bin/python")
    layers = (replace(layers[0], files=(program, *layers[0].files)), *layers[1:])
    labels = {**sample.image().labels, sample.BASE_LABEL: base}
    image = sample.image(layers=layers, labels=labels)
    project_files = ProjectFiles(sample.TODAY, baselines=(_baseline(image),))
    return replace(image, project_files=project_files)


def _baseline(image: ImageFacts) -> Baseline:
    """Return sizes from before the last layer grew."""
    now = sizes_of(image)
    name = layer_name(image.layers[-1])
    layers = {**now.layers, name: now.layers[name] - GROWTH}
    return replace(now, size=now.size - GROWTH, layers=layers)


def _layer(digit: str, instruction: str, sizes: Mapping[str, int]) -> Layer:
    files = [sample.file(path, size=size, mode=0o644, digest=path) for path, size in sizes.items()]
    layer = sample.layer(*files, size=sum(sizes.values()), name=digit)
    return replace(layer, instruction=instruction)
