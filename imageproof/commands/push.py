"""The `push` and `promote` commands: only verified images leave this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import bake
from imageproof.build.git import has_uncommitted_changes
from imageproof.commands.verify import require_all_pass
from imageproof.registry.reference import parse_prefix, parse_tag
from imageproof.release import promote as release_promote
from imageproof.release import push as release_push
from imageproof.release.manifest import DEFAULT_FILE, write
from imageproof.report import summary
from imageproof.verify import run
from imageproof.verify.request import Request

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine
    from imageproof.release.manifest import Release


def push(
    contract: Contract, engine: Engine, prefix: str, tag: str | None, output: str | None
) -> None:
    """Verify the images, push them, and write the release file. Raises VerifyFailed."""
    place = parse_prefix(prefix)
    name = parse_tag(tag) if tag else bake.default_tag(contract.root)
    verdict = run.verify(contract, engine, Request(static=True))
    require_all_pass([verdict])
    if has_uncommitted_changes(contract.root):
        console.warn("the working tree differs from the commit that the release names")
    console.step(f"push to {place}")
    _write_release(contract, release_push.push(contract, engine, verdict, place, name), output)


def promote(
    contract: Contract, engine: Engine, source: str, to: str, tag: str | None, output: str | None
) -> None:
    """Verify images in a registry, and copy them to another place. Raises VerifyFailed."""
    place, name = parse_prefix(to), parse_tag(tag) if tag else None
    images, release = release_promote.sources(contract, source)
    verdicts = {
        name: [
            run.verify(contract, engine, Request(name, image.place, static=True, platform=platform))
            for platform in image.platforms
        ]
        for name, image in images.items()
    }
    require_all_pass([verdict for each in verdicts.values() for verdict in each])
    console.step(f"promote to {place}")
    promoted = release_promote.promote(contract, images, verdicts, place, name, release)
    _write_release(contract, promoted, output)


def _write_release(contract: Contract, release: Release, output: str | None) -> None:
    path = Path(output) if output else contract.root / DEFAULT_FILE
    write(release, path)
    summary.print_release(release)
    console.done(f"written to {path}")
