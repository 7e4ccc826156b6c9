"""Reports in a real browser: no error, nothing wider than a phone, images that load, a table that sorts and filters."""

import shutil
from collections.abc import Iterator

import pytest
from helpers.records import write_sweep

from infer.reports.run import write_page
from infer.reports.sweep import report_sweep

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (apt install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """Opens a file at a width and fails on every message of its console."""
    said, contexts = [], []

    def open_at(path, width: int):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.resolve().as_uri())
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert said == []


def assert_fits_and_shows_its_images(page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.querySelectorAll('main img:not(#lens img)')].every(i => i.naturalWidth > 0)")


@pytest.mark.parametrize("width", [390, 1400])
def test_the_report_of_a_run(make_run, open_page, width):
    run = make_run()
    page = open_page(write_page(run, run.folder.parents[1]), width)
    assert_fits_and_shows_its_images(page, width)
    assert page.locator("main img").count() > 20
    tile = page.locator(".tile").first
    assert not page.locator("#lens").is_visible()
    tile.click()
    assert page.locator("#lens").is_visible()
    assert page.locator("#lens figcaption").inner_text() == tile.get_attribute("title")
    page.keyboard.press("Escape")
    assert not page.locator("#lens").is_visible()


@pytest.mark.parametrize("width", [390, 1400])
def test_the_table_of_a_sweep_sorts_and_filters(tmp_path, open_page, width):
    swept = {"M": ["1", "2", "3"], "evaluate.lr": ["1e-3", "2e-3", "5e-4"]}
    folder = write_sweep(tmp_path / "sweeps" / "s", swept, lambda m, lr: [90 + int(m), 91 + 1000 * float(lr)])
    report_sweep(folder)
    page = open_page(folder / "report.html", width)
    assert_fits_and_shows_its_images(page, width)

    def column(number: int) -> list[float]:
        return [
            float(text.split()[0]) for text in page.locator(f"#table-1 tbody td:nth-child({number})").all_inner_texts()
        ]

    page.get_by_role("button", name="evaluate.lr", exact=True).click()
    assert column(3) == sorted(column(3)) and len(column(3)) == 9
    page.get_by_role("button", name="test top-1 %").click()
    page.get_by_role("button", name="test top-1 %").click()
    assert column(4) == sorted(column(4), reverse=True) != column(4)[::-1]
    page.get_by_role("searchbox").fill("M=2")
    assert page.locator("#table-1 tbody tr:visible").count() == 3
