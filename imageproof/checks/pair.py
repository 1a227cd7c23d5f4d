"""The images of one contract beside one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imageproof.checks.base.components import pythons
from imageproof.checks.check import Finding, check
from imageproof.image.sizes import base_of
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from imageproof.contract import Contract
    from imageproof.image.facts import ImageFacts


@check(
    "pair.shared",
    "images",
    title="Images of one base share its layers, their packages' versions and their user",
    why="A shared layer is pulled and kept once a node; one version of each package is one thing "
    "to patch, and what one image's tests prove holds for the other.",
    remedy="The same first lines in each Dockerfile; lock files made together (`./inv lock`).",
    reference="https://docs.docker.com/build/cache/optimize/#order-your-layers",
)
def shared(contract: Contract, facts: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    """Fail for images of one base without a common first layer, for other users, and for other
    versions of Python or of a package; what only one image has is compared with nothing."""
    yield from _users(contract, facts)
    yield from _versions("Python", {n: {p.version for p in pythons(i)} for n, i in facts.items()})
    yield from _packages(facts, ("python", "npm"))
    by_base: dict[str, dict[str, ImageFacts]] = defaultdict(dict)
    for name, image in facts.items():
        by_base[base_of(image)][name] = image
    for base, images in sorted(by_base.items()):
        if base and len(images) > 1:
            yield from _layers(base, images)
            yield from _packages(images, ("dpkg", "apk"))


def _layers(base: str, images: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    first = {name: image.layers[0].diff_id for name, image in images.items() if image.layers}
    if len(set(first.values())) > 1:
        yield Finding(
            f"{' and '.join(sorted(first))} share no layer, though all are made from {base}",
            measured=len(set(first.values())),
            bound=1,
        )


def _users(contract: Contract, images: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    """By the contract: whether each image has its contract's user is asked by user.nonroot."""
    users = {name: contract.images[name].user for name in images}
    if len(set(users.values())) > 1:
        said = ", ".join(f"{user} in {name}" for name, user in sorted(users.items()))
        yield Finding(f"they run as different users: {said}")


def _packages(images: Mapping[str, ImageFacts], kinds: tuple[str, ...]) -> Iterator[Finding]:
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, image in images.items():
        for package, _ in image.packages:
            if package.kind in kinds:
                found[(package.kind, normal_name(package.name))][name].add(package.version)
    for (_, package_name), versions in sorted(found.items()):
        yield from _versions(package_name, versions)


def _versions(what: str, by_image: Mapping[str, set[str]]) -> Iterator[Finding]:
    """An image may have several versions (npm's tree does): two images shall have one in common."""
    having = {name: versions for name, versions in sorted(by_image.items()) if versions}
    if having and not set.intersection(*having.values()):
        said = ", ".join(f"{' and '.join(sorted(v))} in {name}" for name, v in having.items())
        yield Finding(f"{what} is {said}")
