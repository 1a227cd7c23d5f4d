"""Smoke test: load everything that the kiosk loads."""

import json
import sys
from pathlib import Path

import greeting


def menu() -> dict[str, int]:
    """Return the prices by item."""
    return json.loads(Path(__file__).with_name("menu.json").read_text())


def run() -> None:
    assert menu()["coffee"]
    assert greeting.greet("welcome")
    sys.stdout.write("ready\n")
