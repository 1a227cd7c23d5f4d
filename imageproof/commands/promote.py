"""The `promote` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof import console
from imageproof.commands.push import release_path, write_release
from imageproof.commands.verify import require_all_pass
from imageproof.registry.reference import parse_prefix, parse_tag
from imageproof.release import promote as release_promote
from imageproof.release.plan import plan_promotion
from imageproof.report import summary
from imageproof.verify.request import Request
from imageproof.verify.run import verify

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def promote(
    contract: Contract,
    engine: Engine,
    source: str,
    to: str,
    tag: str | None,
    output: str | None,
    *,
    dry_run: bool,
) -> None:
    """Verify images in a registry, and copy them to the prefix `to`. Raises VerifyFailed.

    `source`: a release file, or docker://HOST/PREFIX:TAG. If `dry_run`, only print what would be
    copied.
    """
    prefix = parse_prefix(to)
    new_tag = parse_tag(tag) if tag else None
    images, source_release = release_promote.read_sources(contract, source)
    verdicts = {
        name: [
            verify(contract, engine, Request(name, image.location, static=True, platform=platform))
            for platform in image.platforms
        ]
        for name, image in images.items()
    }
    require_all_pass([verdict for of_image in verdicts.values() for verdict in of_image])
    if dry_run:
        copies = plan_promotion(contract, images, verdicts, prefix, new_tag)
        summary.print_copies(copies, release_path(contract, output))
        return
    console.step(f"promote to {prefix}")
    release = release_promote.promote(contract, images, verdicts, prefix, new_tag, source_release)
    write_release(contract, release, output)
