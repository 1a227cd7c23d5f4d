"""run.readonly: only the contract's paths take writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.files import is_within
from imageproof.checks.run.observed import observed

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts
    from imageproof.runtime.probe_client import Writes

# The engine mounts this small tmpfs, noexec, in every container.
ENGINE_FOLDERS = ("/dev/shm",)  # noqa: S108 - a name, nothing is written there
MAX_CHANGES = 5  # changed paths that get a finding each; one more finding counts the rest


@check(
    "run.readonly",
    "containers",
    title="Only the contract's paths take writes, tried in the running container",
    why="An intruder who cannot write leaves no program and no changed code behind. Writes of the "
    "service itself outside of these paths are lost with the container.",
    remedy="Write `read_only: true` in the compose file, with a `tmpfs:` or a volume for each path "
    "of [tool.imageproof.images.*.writable]. Let root own the image's files and folders.",
    reference="CIS Docker Benchmark 5.13; path_resolution(7)",
)
def readonly(contract: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for a writable root, for each writable path outside of the contract, and for changes.

    The paths were tried in the running container, and in its image with a writable root. A path
    that is writable in both, or a reason that makes several facts unknown, is reported once.
    """
    reported: set[str] = set()  # paths, and messages about unknown facts
    for part in ("writes", "image_writes", "changed"):
        for item in observed(facts, part):
            if isinstance(item, Finding):
                if item.message not in reported:
                    reported.add(item.message)
                    yield item
                continue
            container, value = item
            if part == "changed":
                yield from _changes(container, value, contract)
            else:
                in_image = part == "image_writes"
                yield from _writable(container, value, contract, reported, in_image=in_image)


def _writable(
    container: ContainerFacts,
    writes: Writes,
    contract: ServiceContract,
    reported: set[str],
    *,
    in_image: bool,
) -> Iterator[Finding]:
    """Yield a finding for each writable path that is not reported yet, and add it to `reported`."""
    place = "the image with a writable root" if in_image else "the running container"
    if not in_image and not writes.read_only:
        message = f"{container.name}: the root is mounted writable, expected read-only"
        yield Finding(message, file="/", measured="writable", bound="read-only")
    for path in writes.paths:
        if path not in reported and not is_within(path, (*contract.writable, *ENGINE_FOLDERS)):
            reported.add(path)
            expected = ", ".join(contract.writable) or "none"
            yield Finding(
                f"{container.name}: {writes.user} can write {path} in {place}; "
                f"the contract's writable paths: {expected}",
                file=path,
                measured=path,
                bound=expected,
            )
    if writes.incomplete or not writes.tried:
        reason = writes.incomplete or "no path was tried"
        yield Finding(f"{container.name}: not all of {place} was tried: {reason}", unknown=True)


def _changes(
    container: ContainerFacts, changed: Sequence[str], contract: ServiceContract
) -> Iterator[Finding]:
    """Yield a finding for each path of `docker diff` outside of mounts and writable paths."""
    expected = [path for path in (*container.mounts, *contract.writable) if path != "/"]
    # `docker diff` lists a folder if anything in it changed, even a mount point: only the innermost
    # paths count.
    deeper_paths = (*expected, *changed)
    unexpected = [
        path
        for path in changed
        if not is_within(path, expected)
        and not any(path != deeper and is_within(deeper, [path]) for deeper in deeper_paths)
    ]
    for path in unexpected[:MAX_CHANGES]:
        message = f"{container.name}: {path} differs from the image (docker diff)"
        yield Finding(message, file=path)
    more = len(unexpected) - MAX_CHANGES
    if more > 0:
        yield Finding(f"{container.name}: {more} more paths differ from the image")
