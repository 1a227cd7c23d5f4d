"""Chromium for tests and pictures of the HTML report."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Root has no sandbox in a container; the other options keep Chromium off the network.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)


def launch(playwright: Playwright) -> Browser:
    """Start the installed Chromium. Raises FileNotFoundError if there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise FileNotFoundError("Chromium is not installed: as root, run `./inv provision`")
    return playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
