"""Options of a container that can do nothing but answer."""

from __future__ import annotations

from typing import Any

# No network, no privileges, no writable root; removed when it ends.
CONFINED: dict[str, Any] = {
    "networks": ["none"],
    "cap_drop": ["ALL"],
    "security_options": ["no-new-privileges"],
    "read_only": True,
    "pull": "never",
    "remove": True,
}
