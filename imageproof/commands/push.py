"""The `push` command: only verified images leave this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import bake
from imageproof.build.git import has_uncommitted_changes
from imageproof.commands.verify import require_all_pass
from imageproof.docker.project_lock import project_lock
from imageproof.errors import UsageError
from imageproof.registry.reference import parse_prefix, parse_tag
from imageproof.release import push as release_push
from imageproof.release.manifest import DEFAULT_FILE, write
from imageproof.release.plan import plan_push
from imageproof.report import summary
from imageproof.verify import run
from imageproof.verify.request import Request

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.release.manifest import Release


def push(
    contract: Contract,
    engine: Engine,
    registry: str,
    tag: str | None,
    output: str | None,
    *,
    dry_run: bool,
) -> None:
    """Verify the images, push them, and write the release file. Raises VerifyFailed.

    `registry`: HOST/PREFIX. If `dry_run`, only print what would be pushed.
    """
    if not registry:
        raise UsageError(
            "reading the command line",
            "push needs a registry",
            hint="add --registry HOST/PREFIX; each image is pushed to HOST/PREFIX/NAME",
        )
    prefix = parse_prefix(registry)
    pushed_tag = parse_tag(tag) if tag else bake.default_tag(contract.root)
    with project_lock(engine, "push", shared=True):  # a build would replace verified images
        verdict = run.verify(contract, engine, Request(static=True))
        require_all_pass([verdict])
        if has_uncommitted_changes(contract.root):
            console.warn("the working tree differs from the commit that the release names")
        if dry_run:
            copies = plan_push(contract, verdict, prefix, pushed_tag)
            summary.print_copies(copies, release_path(contract, output))
            return
        console.step(f"push to {prefix}")
        release = release_push.push(contract, engine, verdict, prefix, pushed_tag)
    write_release(contract, release, output)


def write_release(contract: Contract, release: Release, output: str | None) -> None:
    """Write the release file to `output`, or to its default path, and print it."""
    path = release_path(contract, output)
    write(release, path)
    summary.print_release(release)
    console.done(f"written to {path}")


def release_path(contract: Contract, output: str | None) -> Path:
    """Return the release file: `output`, relative to the current folder, or the default one."""
    return Path(output) if output else contract.root / DEFAULT_FILE
