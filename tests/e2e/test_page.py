"""The HTML report in a real Chromium: answer first, keyboard, dark, phone, hostile text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from imageproof.image.sizes import base_of, sizes_of
from imageproof.project.project_files import ProjectFiles
from imageproof.report.html.page import as_html
from imageproof.verify.judge import Verdict
from tests.pictures.shop import shop_verdict
from tests.support import browser as chromium
from tests.support.sample_facts import TODAY, container, file, image, layer
from tests.support.verdicts import HOSTILE, HOSTILE_SAMPLE, SAMPLE, result, verdict

PHONE = {"width": 390, "height": 844}
PASSING = verdict(result("pass"), result("pass", name="env.made", subject="project"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = chromium.launch(playwright)
        except FileNotFoundError as error:
            pytest.fail(str(error))
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a verdict's page; fail the test if the page logs an error or requests anything."""
    complaints: list[str] = []
    pages = []

    def open_(made: Verdict, **options: Any) -> Page:
        path = tmp_path / "page.html"
        path.write_text(as_html(made))
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


def _with_files(made: Verdict, *paths: str) -> Verdict:
    """Return the verdict on an image of two layers with files of these paths."""
    first = layer(*(file(path, size=300_000, digest=path) for path in paths), size=2_000_000)
    facts = image(layers=(first, layer(file("usr/lib/x.so", size=500_000), name="b")))
    return replace(made, subjects=tuple(replace(s, image=facts) for s in made.subjects))


def _unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def _focused(page: Page) -> str | None:
    return page.locator(":focus").get_attribute("aria-label")


# --- answer first


def test_page_begins_with_the_verdict_then_violations(open_page: Open):
    page = open_page(SAMPLE)
    assert page.title() == "2 violations, 1 unknown - imageproof"
    assert page.locator("h1").inner_text().endswith("2 violations, 1 unknown")
    headings = page.locator("h2").all_text_contents()
    titles = ["Violations", "Warnings", "Waived", "Checks", "Images", "1 pass", "1 not run"]
    assert headings == titles


def test_passing_verdict_has_no_violations(open_page: Open):
    page = open_page(PASSING)
    assert page.locator("h1").inner_text().endswith("Passes")
    assert page.locator("h2").all_text_contents() == ["Checks", "Images", "2 pass"]


def test_verdict_without_results_is_a_page(open_page: Open):
    page = open_page(Verdict((), ()))
    assert page.locator("h1").inner_text().endswith("No check ran")


def test_violation_shows_expected_beside_actual_with_place_and_remedy(open_page: Open):
    card = open_page(SAMPLE).locator(".card", has_text="made.fail")
    expected, actual = card.locator(".compared div").all()
    assert expected.inner_text().split() == ["Expected", "10"]
    assert actual.inner_text().split() == ["Actual", "12"]
    boxes = expected.bounding_box(), actual.bounding_box()
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] == boxes[1]["y"]
    for text in ("a fault", "another fault", "/usr/[blue]bin", "RUN echo", "Fix made.fail"):
        assert text in card.inner_text()


def test_subjects_of_one_failed_check_share_its_remedy(open_page: Open):
    made = verdict(*(result("fail", name="env.made", subject=name) for name in ("a", "b")))
    card = open_page(made).locator(".card")
    assert card.count() == 1
    assert card.locator(".finding .tag").all_text_contents() == ["a", "b"]
    assert card.get_by_text("Fix env.made").count() == 1


def test_waived_violation_shows_the_reason_of_its_waiver(open_page: Open):
    assert "Waived because: because of [red]x" in open_page(SAMPLE).locator("#waived").inner_text()


def test_backticks_become_code(open_page: Open):
    made = verdict(replace(result("fail"), reason="run `chmod a-s` <b>"))
    reason = open_page(made).locator(".reason")
    assert reason.locator("code").all_text_contents() == ["chmod a-s"]
    assert reason.inner_text() == "Reason: run chmod a-s <b>"


# --- matrix


def test_matrix_is_a_table_with_headers_and_a_caption(open_page: Open):
    page = open_page(SAMPLE)
    table = page.get_by_role("table", name="Results of each check by subject")
    assert table.get_by_role("columnheader").all_text_contents() == [
        *("Check", "Rule", "shop", "project"),
    ]
    assert table.locator("th[scope=rowgroup]").all_text_contents() == ["env", "made"]
    row = table.get_by_role("row", name="made.fail")
    assert row.get_by_role("rowheader").inner_text() == "made.fail"
    assert row.get_by_role("link", name="fail: made.fail, shop").inner_text() == "✗"
    assert row.get_by_role("cell").last.inner_text() == "does not apply"


def test_matrix_glyphs_differ_by_shape(open_page: Open):
    glyphs = open_page(SAMPLE).locator(".matrix a").all_text_contents()
    assert sorted(set(glyphs)) == sorted("✓✗?!~\N{EN DASH}")


@pytest.mark.parametrize("status", ["fail", "unknown", "warning", "waived", "pass", "not run"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_matrix_cell_leads_to_its_result(open_page: Open, status, scripts):
    page = open_page(SAMPLE, java_script_enabled=scripts)
    page.locator(f".matrix a[title^='{status}: made']").click()
    target = page.locator(":target")
    target.wait_for(state="visible")
    assert "shop" in target.inner_text()


def test_arrow_keys_move_within_the_matrix(open_page: Open):
    made = verdict(
        *(result("pass", name=f"env.{name}", subject=s) for name in "ab" for s in ("x", "y")),
        result("fail", name="env.c", subject="y"),
    )
    page = open_page(made)
    page.locator(".matrix a").first.focus()
    steps = ["ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp", "Home", "ArrowUp", "End"]
    visited = []
    for key in steps:
        page.keyboard.press(key)
        visited.append((_focused(page) or "").partition(": ")[2])
    assert visited == [
        "env.a, y", "env.b, y", "env.c, y", "env.b, y", "env.b, x", "env.a, x", "env.a, y",
    ]  # fmt: skip
    assert page.locator(".matrix a[tabindex='0']").count() == 1


def test_filter_narrows_the_matrix(open_page: Open):
    page = open_page(SAMPLE)
    rows = page.locator(".matrix tr:visible th[scope=row]")
    assert rows.count() == 7
    page.get_by_label("Only rows with a problem").check()
    assert rows.count() == 5
    page.get_by_label("Filter checks").fill("ENV.")
    assert rows.all_text_contents() == ["env.made"]
    assert page.locator("output").text_content() == "1 check shown"
    assert page.locator(".matrix a[tabindex='0']").get_attribute("title") == (
        "fail: env.made, project"
    )


def test_picture_shows_three_violations():
    """Guard the sample of docs/images: a changed check must not spoil it."""
    failed = [result.check.id for result in shop_verdict().results if result.fails]
    assert failed == ["fs.setuid", "run.nonroot", "size.budget"]


# --- folded parts


def test_passes_are_folded(open_page: Open):
    page = open_page(SAMPLE)
    assert not page.locator("#passes").get_by_text("made.pass").is_visible()
    page.get_by_text("1 pass", exact=True).last.click()
    assert page.locator("#passes").get_by_text("made.pass").is_visible()


def test_page_works_without_scripts(open_page: Open):
    page = open_page(_with_files(SAMPLE, "usr/bin/python"), java_script_enabled=False)
    assert not page.locator(".filter").is_visible()
    page.get_by_text("Layers, packages and files").click()
    assert not page.locator(".map").is_visible()
    assert "COPY a /" in page.get_by_role("table", name="Layers of shop").inner_text()


# --- images


def test_size_bar_shows_the_budget(open_page: Open):
    page = open_page(SAMPLE)
    assert page.get_by_role("img", name="1.0 of 10.0 MB").is_visible()
    assert "1.0 MB of 10.0 MB (10% of the budget)" in page.locator("#image-0").inner_text()
    assert page.locator(".excess").count() == 0
    large = replace(SAMPLE.subjects[0], image=image(layers=(layer(size=12_000_000),)))
    page = open_page(replace(SAMPLE, subjects=(large,)))
    assert page.locator(".size.over").is_visible()
    assert page.locator(".excess").get_attribute("width") == "166.7"


def test_containers_and_size_changes_are_shown(open_page: Open):
    facts = image(layers=(layer(file("usr/bin/python"), size=2_000_000),))
    before = replace(sizes_of(image()), base=base_of(facts))
    grown = replace(facts, project_files=ProjectFiles(TODAY, baselines=(before,)))
    subject = replace(SAMPLE.subjects[0], image=grown, containers=(container(name="<i>shop-1"),))
    page = open_page(replace(SAMPLE, subjects=(subject,)))
    article = page.locator("#image-0")
    assert "+1.00 MB since baseline" in article.inner_text()
    page.get_by_text("Running containers (1)").click()
    page.get_by_text("Changes since the baseline (1)").click()
    text = article.inner_text()
    for part in ("<i>shop-1", "1 of 32", "64 MB", "Processes of <i>shop-1", "10001"):
        assert part in text
    assert "COPY a /" in text.partition("Changes since")[2]


def test_size_map_is_zoomed_by_keyboard(open_page: Open):
    page = open_page(_with_files(SAMPLE, "usr/bin/python", "opt/a", "opt/b"))
    page.get_by_text("Layers, packages and files").click()
    tiles = page.locator(".map > button")
    assert tiles.first.get_attribute("aria-label") == "COPY a / 0.9 MB"
    tiles.first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".trail button").all_text_contents()[-1] == "COPY a / 0.9 MB"
    labels = [tile.get_attribute("aria-label") for tile in tiles.all()]
    assert labels == ["/opt 0.6 MB", "/usr/bin/python 0.3 MB"]
    page.keyboard.press("Enter")
    assert page.locator(".trail button").count() == 3
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator(".trail button").count() == 1


def test_arrow_keys_move_within_the_size_map(open_page: Open):
    page = open_page(_with_files(SAMPLE, "usr/bin/python", "opt/a", "opt/b"))
    page.get_by_text("Layers, packages and files").click()
    page.locator(".map > button").first.focus()
    for key in ("Enter", "ArrowRight"):
        page.keyboard.press(key)
    assert _focused(page) == "/usr/bin/python 0.3 MB"
    page.keyboard.press("Enter")  # a file does not open
    assert page.locator(".trail button").count() == 2
    page.keyboard.press("ArrowRight")
    assert _focused(page) == "/opt 0.6 MB"
    assert page.locator('.map > button[tabindex="0"]').count() == 1


# --- access


def test_every_control_is_reached_by_tab_with_a_visible_focus(open_page: Open):
    page = open_page(_with_files(SAMPLE, "usr/bin/python"))
    _unfold(page)
    wanted = {"header a", ".card summary", "input", ".matrix a", ".trail button", ".map button"}
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        for selector in wanted - reached:
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                reached.add(selector)
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", selector
    assert reached == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "made", [SAMPLE, PASSING, shop_verdict()], ids=["sample", "passes", "shop"]
)
def test_all_text_has_contrast_in_light_and_dark(open_page: Open, scheme, made):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    page = open_page(_with_files(made, "usr/bin/python"), color_scheme=scheme)
    _unfold(page)
    ratios: dict[str, float] = page.evaluate(CONTRASTS)
    assert len(ratios) > 10
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


# The lowest contrast of each kind of element that has text of its own.
CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ratios = {};
  for (const element of document.body.querySelectorAll("*:not(script, svg *, option)")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    let ground = element;
    const behind = (one) => getComputedStyle(one).backgroundColor;
    while (numbers(behind(ground))[3] === 0) ground = ground.parentElement;
    const [a, b] = [getComputedStyle(element).color, behind(ground)]
      .map((colour) => light(numbers(colour)) + 0.05);
    const name = `${element.tagName} ${element.className} in ${element.parentElement.className}`;
    ratios[name] = Math.min(ratios[name] || 21, Math.max(a, b) / Math.min(a, b));
  }
  return ratios;
}"""


@pytest.mark.parametrize(
    "made", [SAMPLE, HOSTILE_SAMPLE, shop_verdict()], ids=["sample", "hostile", "shop"]
)
def test_phone_does_not_scroll_sideways(open_page: Open, made):
    page = open_page(_with_files(made, "usr/bin/" + "long" * 40), viewport=PHONE)
    _unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_matrix_of_many_subjects_scrolls_within_its_frame(open_page: Open):
    names = [f"service-{number}" for number in range(30)]
    page = open_page(verdict(*(result("pass", subject=name) for name in names)), viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.locator(".matrix td").last.evaluate("cell => cell.offsetWidth") >= 24


def test_print_shows_failed_glyphs_without_background(open_page: Open):
    page = open_page(SAMPLE)
    page.emulate_media(media="print")
    badge = page.locator(".matrix .badge.fail").first
    assert badge.evaluate("badge => getComputedStyle(badge).color") == "rgb(179, 38, 30)"
    assert not page.locator(".filter").is_visible()


def test_hostile_text_is_shown_as_text(open_page: Open):
    page = open_page(
        _with_files(HOSTILE_SAMPLE, "usr/<img src=x onerror=alert(1)>", "usr/</script>")
    )
    assert page.locator("img, h1 script, li script").count() == 0
    assert page.locator("script").count() == 2  # the page's own, and the data of the size map
    text = page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert HOSTILE not in text
