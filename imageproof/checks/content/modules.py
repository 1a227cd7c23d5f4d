"""Places of code in an image, shared by content.tests and content.bytecode."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import ImageFacts

# A folder of installed packages, and the path in it.
LIBRARY = re.compile(r"^.*?(?:site-packages|dist-packages|node_modules)/(?P<rest>.+)$")


def program_folder(contract: ServiceContract, facts: ImageFacts) -> str:
    """Return the working directory with a trailing slash, or "" if it is the root or unknown."""
    folder = (contract.workdir or facts.workdir).strip("/")
    return f"{folder}/" if folder else ""
