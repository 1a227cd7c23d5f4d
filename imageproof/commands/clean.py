"""The `clean` command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.commands.down import plan_down
from imageproof.docker.image_tags import built_tags
from imageproof.docker.project_lock import project_lock
from imageproof.docker.replaced_images import remove_replaced_images, replaced_images, users
from imageproof.stack import compose
from imageproof.stack.ownership import require_own_stack
from imageproof.user_cache import remove_folder

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.docker.client import Engine


def clean(
    contract: Contract, engine: Engine, *, base: bool, dry_run: bool, wait: bool, take_over: bool
) -> None:
    """Remove the stack with its volumes, the images that it builds, and its cache.

    `base`: also remove the base image that was made on this machine.
    """
    engine.require_answer()
    own = {item["Id"] for item in engine.containers(one_off=True)}
    if dry_run:
        if not take_over:
            require_own_stack(contract, engine, f"clean --dry-run{' --base' if base else ''}")
        plan_down(engine, volumes=True)
        for tag in _removable_tags(contract, engine, own, base=base):
            console.write(f"would remove image {tag}")
        for image in replaced_images(engine, _untagged_builds(engine), unless_used_by=own):
            console.write(f"would remove untagged image {image}")
        console.write("would remove the project's cached facts and results")
        return
    with project_lock(engine, "clean", wait=wait):
        if not take_over:
            require_own_stack(contract, engine, f"clean{' --base' if base else ''}")
        compose.down(engine, volumes=True)
        for tag in _removable_tags(contract, engine, set(), base=base):
            console.say(f"  removing {tag}")
            engine.query(f"removing the image {tag}", "image", "rm", tag)
        remove_replaced_images(engine, _untagged_builds(engine))
        remove_folder(contract.root)
        console.done("clean")


def _removable_tags(
    contract: Contract, engine: Engine, own: set[str], *, base: bool
) -> Iterator[str]:
    """Yield the tags to remove, without those of images that another project's containers use.

    `own`: ids of this project's containers, which are removed before.
    """
    tags = built_tags(contract, engine)
    if base:
        tags.append(contract.base.local_tag)
    for tag in engine.images(tags) if tags else ():
        if others := set(users(engine, tag)) - own:
            names = [item["Name"].lstrip("/") for item in engine.inspect("container", list(others))]
            console.say(f"  keeping {tag}: {', '.join(sorted(names))} uses it")
        else:
            yield tag


def _untagged_builds(engine: Engine) -> list[str]:
    """Return the ids of untagged images that `docker compose build` labelled as this project's."""
    label = f"--filter=label=com.docker.compose.project={engine.project_name}"
    command = ("image", "ls", "--quiet", "--no-trunc", "--filter=dangling=true", label)
    return engine.query("listing untagged images", *command).split()
