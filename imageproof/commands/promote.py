"""The `promote` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageproof import console
from imageproof.commands.push import write_release
from imageproof.commands.verify import require_all_pass
from imageproof.registry.reference import parse_prefix, parse_tag
from imageproof.release import promote as release
from imageproof.verify.request import Request
from imageproof.verify.run import verify

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def promote(
    contract: Contract, engine: Engine, source: str, to: str, tag: str | None, output: str | None
) -> None:
    """Verify images in a registry, and copy them to another place. Raises VerifyFailed."""
    place, new_tag = parse_prefix(to), parse_tag(tag) if tag else None
    images, before = release.sources(contract, source)
    verdicts = {
        name: [
            verify(contract, engine, Request(name, image.place, static=True, platform=platform))
            for platform in image.platforms
        ]
        for name, image in images.items()
    }
    require_all_pass([verdict for each in verdicts.values() for verdict in each])
    console.step(f"promote to {place}")
    promoted = release.promote(contract, images, verdicts, place, new_tag, before)
    write_release(contract, promoted, output)
