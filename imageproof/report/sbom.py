"""Software bill of materials of an image, in CycloneDX 1.6.

Components have package URLs (ECMA-427), which vulnerability scanners read: Debian packages with
their source package and release, Python and npm packages by their registry name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, uuid5

from imageproof.checks.base.components import os_release
from imageproof.project.lock_files import normal_name

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

    from imageproof.image.facts import ImageFacts, Package

PURL_TYPES = {"dpkg": "deb", "apk": "apk", "python": "pypi", "npm": "npm"}


def as_cyclonedx(name: str, image: ImageFacts) -> str:
    """Return the bill of materials as JSON; its serial number depends on the image only."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    release, _ = os_release(image)
    components = [
        *(_component(package, release, layer.diff_id) for package, layer in image.packages),
        *([_operating_system(release)] if release else []),
    ]
    subject = Component(
        name=name,
        version=image.identity,
        type=ComponentType.CONTAINER,
        bom_ref=image.identity,
        properties=[
            Property(name=f"label:{label}", value=value) for label, value in image.labels.items()
        ],
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_OID, image.identity),
        metadata=BomMetaData(component=subject),
        components=components,
    )
    bom.register_dependency(subject, components)
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return outputter.output_as_string(indent=1)


def _component(package: Package, release: Mapping[str, str], layer_id: str) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    namespace, name = None, package.name
    qualifiers: dict[str, str] = {}
    if package.kind in ("dpkg", "apk"):
        namespace = release.get("ID")
        qualifiers = {"upstream": package.source, "distro": _distro(release)}
    elif package.kind == "python":
        name = normal_name(name)
    elif name.startswith("@"):
        namespace, _, name = name.partition("/")
    purl = PackageURL(
        PURL_TYPES[package.kind],
        namespace,
        name,
        package.version or None,
        {key: value for key, value in qualifiers.items() if value},
    )
    return Component(
        name=package.name,
        version=package.version or None,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=f"{purl}#{package.record}",  # a package may be installed in two places
        properties=[
            Property(name="imageproof:record", value=package.record),
            Property(name="imageproof:layer", value=layer_id),
        ],
    )


def _operating_system(release: Mapping[str, str]) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=release.get("ID", "unknown"),
        version=release.get("VERSION_ID"),
        description=release.get("PRETTY_NAME"),
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref=f"os:{_distro(release)}",
    )


def _distro(release: Mapping[str, str]) -> str:
    """Return the distribution as vulnerability scanners name it, such as `debian-12`."""
    return "-".join(filter(None, (release.get("ID"), release.get("VERSION_ID"))))
