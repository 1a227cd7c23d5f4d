"""Options of a container that is confined: no network, no privileges, no writable root."""

from __future__ import annotations

from typing import Any

# Keyword arguments of python-on-whales. The container is removed when it ends.
CONFINED: dict[str, Any] = {
    "networks": ["none"],
    "cap_drop": ["ALL"],
    "security_options": ["no-new-privileges"],
    "read_only": True,
    "pull": "never",
    "remove": True,
}
