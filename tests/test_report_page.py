"""The page in headless Chromium: quiet, sortable with keys, filterable, interactive, whole without scripts, dark, on a phone, on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reports.write import write_report
from tests.browser import CHROMIUM, Browser
from tests.results_factory import claims, references, results
from tests.test_reports import HOSTILE, hostile

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
SCROLLED = """new Promise(async (done) => {
  for (let y = 0; y < document.body.scrollHeight; y += 600) { scrollTo(0, y); await new Promise((next) => setTimeout(next, 30)); }
  done(true);
})"""
ALIVE = "[...document.querySelectorAll('figure')].every((figure) => figure.classList.contains('alive'))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = replace(results(), claims=claims(), references=references())
    return write_report(made, tmp_path_factory.mktemp("report") / "a folder")


def test_the_page_opens_without_a_word_and_asks_nobody(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(SCROLLED)
    browser.wait(ALIVE)
    assert browser.said == []
    assert {url.partition(":")[0] for url in browser.requested} == {"file", "data"}
    assert all("a%20folder/" in url for url in browser.requested if url.startswith("file"))
    assert browser.run("document.querySelectorAll('.live .main-svg').length") >= 7
    drawn = browser.run("[...document.querySelectorAll('#figure-metric .live .errorbars, #figure-metric .live .errorbar')].length")
    assert drawn > 0


def test_a_heading_sorts_with_keys_and_the_box_filters(browser: Browser, page: Path) -> None:
    browser.open(page)
    column = "[...document.getElementById('table-main').tBodies[0].rows].map((row) => row.cells[2].dataset.sort)"
    browser.run("document.querySelector('#table-main th:nth-child(3) button').focus()")
    browser.press("Enter")
    up = list(map(float, browser.run(column)))
    assert up == sorted(up)
    browser.press(" ")
    assert list(map(float, browser.run(column))) == sorted(up, reverse=True)
    assert browser.run("document.querySelector('#table-main th:nth-child(3)').getAttribute('aria-sort')") == "descending"
    box = "document.querySelector('input[data-for=table-main]')"
    browser.run(f"{box}.value = 'ratio=100 ros'; {box}.dispatchEvent(new Event('input'))")
    shown = browser.run("[...document.getElementById('table-main').tBodies[0].rows].filter((row) => !row.hidden).length")
    assert shown == 1
    assert browser.run(f"{box}.closest('.tools').querySelector('[role=status]').textContent") == "1 of 6 rows"


def test_every_link_leads_somewhere(browser: Browser, page: Path) -> None:
    browser.open(page)
    links = browser.run("[...document.querySelectorAll('[href], [src]')].map((e) => e.getAttribute('href') ?? e.getAttribute('src'))")
    assert len(links) > 30
    for link in links:
        if link.startswith("#"):
            assert browser.run(f"document.getElementById({link[1:]!r}) !== null"), link
        elif not link.startswith("data:"):
            assert (page.parent / link).is_file(), link


def test_without_scripts_the_static_pictures_stand(browser: Browser, page: Path) -> None:
    browser.open(page, script=False)
    text = page.read_text()
    pictures = re.findall(r'<img src="(figures/[^"]+)"[^>]* alt="([^"]+)"', text)
    assert len(pictures) >= 7
    assert all((page.parent / place).read_text().startswith("<?xml") and len(alt) > 20 for place, alt in pictures)
    assert not [url for url in browser.requested if url.endswith(".js")]


def test_dark_and_light_follow_the_system(browser: Browser, page: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    colors = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        browser.run("document.getElementById('figure-metric').scrollIntoView()")
        browser.wait("document.getElementById('figure-metric').classList.contains('alive')")
        ink = browser.run("getComputedStyle(document.querySelector('#figure-metric .live text')).fill")
        colors.append((browser.run(paper), ink))
    assert colors[0] == ("rgb(255, 255, 255)", "rgb(27, 27, 27)")
    assert colors[1] == ("rgb(21, 23, 26)", "rgb(232, 232, 232)")


def test_a_phone_scrolls_one_way_only(browser: Browser, page: Path) -> None:
    browser.open(page, width=390, height=800)
    browser.run(SCROLLED)
    browser.wait(ALIVE)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    widths = browser.run("[...document.querySelectorAll('.live')].map((place) => place.scrollWidth - place.clientWidth)")
    assert max(widths) <= 1


def test_on_paper_tables_are_whole_and_folds_are_open(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.open(page, media="print")
    shown = browser.run("getComputedStyle(document.querySelector('#figure-metric img')).display")
    assert shown == "block"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    made = replace(hostile(), claims=claims(text=HOSTILE), references=references(text=HOSTILE), baseline=HOSTILE)
    bad = write_report(made, tmp_path / "re'port \"<b>&#39;")
    browser.open(bad)
    browser.run("window.alert = () => { throw new Error('alert'); }")
    browser.run(SCROLLED)
    browser.wait(ALIVE)
    assert browser.said == []
    assert browser.run("document.querySelectorAll('figure script, table script, main script, svg script').length") == 0
    assert browser.run("document.querySelector('h1').textContent") == HOSTILE
    assert "<script>alert(1)</script>" in browser.run("document.getElementById('figure-metric').textContent")
