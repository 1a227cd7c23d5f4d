"""The page of `./inv verify --format html`, in a real Chromium: it works by keyboard, in the dark
and on a phone, asks for nothing else, and shows hostile text as text."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from imageproof.image.sizes import base_of, sizes_of
from imageproof.project.record import Record
from imageproof.report.html.page import as_html
from imageproof.verify.judge import Verdict
from tests.support.sample_facts import TODAY, container, file, image, layer
from tests.support.verdicts import HOSTILE, HOSTILE_SAMPLE, SAMPLE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A root user has no sandbox in a container; the others keep it from asking the network.
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail("this test needs Chromium: as root, `./inv provision` installs it")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield started
        started.close()


def _sized(verdict: Verdict, *paths: str) -> Verdict:
    """The verdict with an image of two layers, whose files have these paths."""
    first = layer(*(file(path, size=300_000, digest=path) for path in paths), size=2_000_000)
    facts = image(layers=(first, layer(file("usr/lib/x.so", size=500_000), name="b")))
    return replace(verdict, subjects=tuple(replace(s, image=facts) for s in verdict.subjects))


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a verdict's page; whatever it complained of, or asked for, fails the test."""
    complaints: list[str] = []
    pages = []

    def open_(verdict: Verdict, **options: Any) -> Page:
        path = tmp_path / "page.html"
        path.write_text(as_html(verdict))
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                complaints.append(request.url) if request.url != path.as_uri() else None
            ),
        )
        page.goto(path.as_uri())
        return page

    yield open_
    for page in pages:
        page.close()
    assert complaints == []


SEEN = ".result:visible"


def test_the_filter_shows_what_is_asked_for(opened: Open):
    page = opened(SAMPLE)
    # A verdict that falls short shows what does not pass.
    assert page.locator(SEEN).count() == 5
    page.get_by_label("✓ pass (1)").check()
    assert page.locator(SEEN).count() == 6
    page.get_by_label("✗ fail (2)").uncheck()
    assert page.locator(SEEN).count() == 4
    page.get_by_label("Words").fill("NOBODY looked")
    assert page.locator(SEEN).count() == 1
    assert page.locator("#shown").text_content() == "1 of 7 shown"


def test_one_image_alone_is_shown_when_it_is_chosen(opened: Open):
    page = opened(SAMPLE)
    page.get_by_label("Of which image").select_option("project")
    assert page.locator(SEEN).count() == 1
    assert page.locator("h3:visible").all_text_contents() == ["project"]
    page.get_by_label("Of which image").select_option("all images")
    assert page.locator(SEEN).count() == 5


def test_what_runs_and_what_grew_is_shown(opened: Open):
    facts = image(layers=(layer(file("usr/bin/python"), size=2_000_000),))
    before = replace(sizes_of(image()), base=base_of(facts))
    grown = replace(facts, record=Record(TODAY, baselines=(before,)))
    made = (replace(SAMPLE.subjects[0], image=grown, containers=(container(name="<i>shop-1"),)),)
    page = opened(replace(SAMPLE, subjects=made))
    text = page.locator("#image0").inner_text()
    for said in ("+1.00 MB since its size was recorded", "<i>shop-1", "1 of 32", "64 MB"):
        assert said in text
    page.get_by_text("Processes of <i>shop-1").click()
    page.get_by_text("What changed since its size was recorded (1)").click()
    text = page.locator("#image0").inner_text()
    assert "10001" in text
    assert "COPY a /" in text.partition("What changed")[2]


def test_a_finding_is_shown_with_its_place_its_mend_and_its_reason(opened: Open):
    text = opened(SAMPLE).locator("body").text_content() or ""
    for said in ("another fault", "made by: RUN echo", "→ Fix made.fail", "because of [red]x"):
        assert said in text


def test_the_bytes_are_zoomed_by_keyboard(opened: Open):
    page = opened(_sized(SAMPLE, "usr/bin/python", "opt/a", "opt/b"))
    tiles = page.locator(".map > button")
    assert tiles.first.get_attribute("aria-label") == "COPY a / 0.9 MB"
    tiles.first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".trail button").all_text_contents()[-1] == "COPY a / 0.9 MB"
    assert _labels(page) == ["/opt 0.6 MB", "/usr/bin/python 0.3 MB"]
    # The focus follows, so that the next Enter zooms on; Escape goes back.
    page.keyboard.press("Enter")
    assert page.locator(".trail button").count() == 3
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator(".trail button").count() == 1


def _labels(page: Page) -> list[str | None]:
    return [tile.get_attribute("aria-label") for tile in page.locator(".map > button").all()]


def test_arrows_move_among_the_bytes_and_a_file_is_the_end(opened: Open):
    page = opened(_sized(SAMPLE, "usr/bin/python", "opt/a", "opt/b"))
    page.locator(".map > button").first.focus()
    for key in ("Enter", "ArrowRight"):
        page.keyboard.press(key)
    assert _focused(page) == "/usr/bin/python 0.3 MB"
    page.keyboard.press("Enter")
    assert page.locator(".trail button").count() == 2
    page.keyboard.press("ArrowRight")
    assert _focused(page) == "/opt 0.6 MB"
    # Tab takes the whole map as one stop, where it was left.
    assert page.locator('.map > button[tabindex="0"]').count() == 1


def _focused(page: Page) -> str | None:
    return page.locator(":focus").get_attribute("aria-label")


def test_everything_that_acts_can_be_reached_by_tab(opened: Open):
    page = opened(_sized(SAMPLE, "usr/bin/python"))
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
        if page.evaluate("document.activeElement.closest('.map') !== null"):
            break
    assert {"INPUT", "SUMMARY", "BUTTON"} <= reached
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(opened: Open, scheme):
    """WCAG 2.2, 1.4.3: 4.5 to 1, of each colour of text on what it stands on."""
    page = opened(SAMPLE, color_scheme=scheme)
    for selector in ("body", ".dim", ".pass", ".fail", ".waived", ".not-run"):
        ratio = page.evaluate(CONTRAST, page.locator(selector).first.element_handle())
        assert ratio >= 4.5, (scheme, selector, ratio)


CONTRAST = """element => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  let ground = element;
  while (numbers(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
    .map((colour) => light(numbers(colour)) + 0.05);
  return Math.max(a, b) / Math.min(a, b);
}"""


@pytest.mark.parametrize("verdict", [SAMPLE, HOSTILE_SAMPLE], ids=["all", "hostile"])
def test_a_phone_need_not_scroll_sideways(opened: Open, verdict):
    page = opened(_sized(verdict, "usr/bin/" + "long" * 40), viewport={"width": 360, "height": 740})
    for tick in page.locator(".filter input[type=checkbox]").all():
        tick.check()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_hostile_text_is_text(opened: Open):
    page = opened(_sized(HOSTILE_SAMPLE, "usr/<img src=x onerror=alert(1)>", "usr/</script><b>"))
    assert page.locator("img, b").count() == 0
    assert page.locator("script").count() == 2  # the page's own, and the data of the treemap
    text = page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert HOSTILE not in text
