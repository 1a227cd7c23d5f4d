"""pair.shared: images of one base share layers, versions and user."""

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
    title="Images of one base share its layers, package versions and user",
    why="A node pulls and stores a shared layer once. With one version of each package there is "
    "one to patch, and the tests of one image hold for the other.",
    remedy="Begin each Dockerfile with the same lines; write lock files together (`./inv lock`).",
    reference="https://docs.docker.com/build/cache/optimize/#order-your-layers",
)
def shared(contract: Contract, facts: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    """Fail for different users and versions, and for different first layers on one base.

    System packages are compared among images of one base. A package that only one image has is not
    compared.
    """
    yield from _compare_users(contract, facts)
    python_versions = {
        name: {python.version for python in pythons(image)} for name, image in facts.items()
    }
    yield from _compare_versions("Python", python_versions)
    yield from _compare_packages(facts, ("python", "npm"))
    by_base: dict[str, dict[str, ImageFacts]] = defaultdict(dict)
    for name, image in facts.items():
        by_base[base_of(image)][name] = image
    for base, images in sorted(by_base.items()):
        if base and len(images) > 1:
            yield from _compare_first_layers(base, images)
            yield from _compare_packages(images, ("dpkg", "apk"))


def _compare_first_layers(base: str, images: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    first = {name: image.layers[0].diff_id for name, image in images.items() if image.layers}
    different = set(first.values())
    if len(different) > 1:
        yield Finding(
            f"{' and '.join(sorted(first))} are made from {base}, but share no layer",
            measured=len(different),
            bound=1,
        )


def _compare_users(contract: Contract, images: Mapping[str, ImageFacts]) -> Iterator[Finding]:
    """Compare the contract's users; user.nonroot compares each image with its contract."""
    users = {name: contract.images[name].user for name in images}
    if len(set(users.values())) > 1:
        listing = ", ".join(f"{user} in {name}" for name, user in sorted(users.items()))
        yield Finding(f"the images run as different users: {listing}")


def _compare_packages(
    images: Mapping[str, ImageFacts], kinds: tuple[str, ...]
) -> Iterator[Finding]:
    packages: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for image_name, image in images.items():
        for package, _ in image.packages:
            if package.kind in kinds:
                key = (package.kind, normal_name(package.name))
                packages[key][image_name].add(package.version)
    for (_, name), versions in sorted(packages.items()):
        yield from _compare_versions(name, versions)


def _compare_versions(name: str, by_image: Mapping[str, set[str]]) -> Iterator[Finding]:
    """Fail if the images have no version in common; one image may have several (npm's tree)."""
    present = {image: versions for image, versions in sorted(by_image.items()) if versions}
    if present and not set.intersection(*present.values()):
        listing = ", ".join(
            f"{' and '.join(sorted(versions))} in {image}" for image, versions in present.items()
        )
        yield Finding(f"{name} is {listing}")
