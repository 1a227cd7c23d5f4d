"""The smoke test: everything that the kiosk loads can be loaded."""

import json
import sys
from pathlib import Path

import greeting


def menu() -> dict[str, int]:
    """What is sold, and for how much."""
    return json.loads(Path(__file__).with_name("menu.json").read_text())


def run() -> None:
    assert menu()["coffee"]
    assert greeting.greet("welcome")
    sys.stdout.write("ready\n")
