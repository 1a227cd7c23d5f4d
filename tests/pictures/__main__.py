"""Pictures for the README: the HTML report and the terminal report of a made-up shop.

Run `python -m tests.pictures` in the repository, with the locked environment and Chromium
(`./inv provision` installs both). It writes docs/images/report.png and docs/images/terminal.svg.
It needs no Docker engine. The same fonts and the same Chromium give the same bytes.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright
from rich.console import Console

from imageproof.report.html.page import as_html
from imageproof.report.table import as_text, table
from imageproof.verify.judge import Verdict
from tests.pictures.shop import shop_verdict
from tests.support import browser as chromium

FOLDER = Path(__file__).resolve().parents[2] / "docs/images"
MAX_BYTES = 300_000
WIDTH = 1200  # pixels
MARGIN = 40  # pixels below the matrix
COMMAND = "./inv verify --only size"


def main() -> None:
    """Write both pictures."""
    FOLDER.mkdir(exist_ok=True)
    _write("terminal.svg", _terminal(shop_verdict("size")).encode())
    _write("report.png", _report(shop_verdict()))


def _write(name: str, content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise SystemExit(f"{name} has {len(content)} bytes, more than {MAX_BYTES}")
    (FOLDER / name).write_bytes(content)
    sys.stdout.write(f"docs/images/{name}: {len(content) / 1000:.0f} kB\n")


def _terminal(verdict: Verdict) -> str:
    """Return the terminal report as SVG, as wide as its longest line."""
    width = max(map(len, as_text(verdict).splitlines())) + 2
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(f"$ {COMMAND}", highlight=False)
    console.print(table(verdict), highlight=False, soft_wrap=True)
    svg = console.export_svg(title="imageproof", unique_id="imageproof")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts of a web server


def _report(verdict: Verdict) -> bytes:
    """Return the HTML report as PNG, from its head to the rows of the matrix with a problem."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "report.html")
        path.write_text(as_html(verdict))
        browser = chromium.launch(playwright)
        page = browser.new_page(viewport={"width": WIDTH, "height": 800}, color_scheme="light")
        page.goto(path.as_uri())
        page.get_by_label("Only rows with a problem").check()
        page.evaluate("scrollTo(0, 0)")
        bottom = page.locator("#checks").evaluate(
            "section => section.getBoundingClientRect().bottom"
        )
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": round(bottom) + MARGIN}
        picture = page.screenshot(full_page=True, clip=clip)
        browser.close()
    return picture


if __name__ == "__main__":
    main()
