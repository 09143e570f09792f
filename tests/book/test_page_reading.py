"""Every page of the smoke book can be read: light to load, by keyboard and screen reader, without scripts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from conftest import LISTED
from PIL import Image

BUDGET = 2_000_000
"""Bytes of a page and its images, before shared scripts and what a reader asks for."""

every_page = pytest.mark.parametrize("name", LISTED)


def test_the_pages_are_those_of_the_table_of_contents(html: Path) -> None:
    assert {path.relative_to(html).with_suffix("").as_posix() for path in html.glob("book/**/*.html")} == {
        *LISTED
    }


@every_page
def test_page_is_light(html: Path, name: str) -> None:
    """Images at the size of the page, the heavy ones' files at full size one click away."""
    page = html / f"{name}.html"
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    images = soup.select("article img")
    weight = page.stat().st_size + sum(
        file.stat().st_size for file in {(page.parent / str(image["src"])).resolve() for image in images}
    )
    assert weight < BUDGET
    for image in soup.select('article figure img[src*="_images/"]'):
        with Image.open(page.parent / str(image["src"])) as shown:
            assert (int(image["width"]), int(image["height"])) == shown.size
            assert shown.width <= 1440 or shown.format == "PNG"
        if str(image["src"]).endswith(".webp"):
            (full,) = image.find_parent("figure").select("a.full-size")
            with Image.open(page.parent / str(full["href"])) as file:
                assert file.width >= int(image["width"])


@every_page
def test_page_has_a_card(html: Path, name: str) -> None:
    head, _, body = (html / f"{name}.html").read_text(encoding="utf-8").partition("</head>")
    assert body
    soup = BeautifulSoup(head, "html.parser")
    card = {
        str(tag.get("property") or tag.get("name")): tag["content"] for tag in soup.select("meta[content]")
    }
    assert card["og:title"] == card["twitter:title"]
    assert len(card["og:description"]) > 10
    assert card["twitter:card"] == "summary_large_image"
    with Image.open(html / Path(name).parent / card["og:image"]) as picture:
        assert f"{picture.width} x {picture.height}" == (
            f"{card['og:image:width']} x {card['og:image:height']}"
        )
    (icon,) = soup.select('link[rel="icon"]')
    with Image.open(html / Path(name).parent / str(icon["href"])) as picture:
        assert picture.size == (64, 64)


def test_findings_are_drawn_where_they_say(html: Path) -> None:
    """Each line repeats its words: a bar from the interval's low to its high, and a point at the share."""
    soup = BeautifulSoup((html / "book" / "intro.html").read_text(encoding="utf-8"), "html.parser")
    for finding in soup.select(".figures li"):
        at, low, high = map(float, re.findall(r"([\d.]+)%", finding.select_one(".share").text))
        bar, point = finding.select(".interval > span")
        left, right = map(float, re.findall(r"([\d.]+)%", str(bar["style"])))
        assert (left, 100 - right) == pytest.approx((low, high))
        assert str(point["style"]) == f"left: {at}%"
        assert low <= at <= high


@pytest.fixture(scope="module")
def bare(browser) -> Iterator[Any]:
    """One tab without scripts for all pages."""
    tab = browser.new_page(java_script_enabled=False)
    yield tab
    tab.close()


@every_page
def test_page_without_scripts(bare, address: str, name: str) -> None:
    page, asked = bare, []
    page.set_viewport_size({"width": 1280, "height": 844})

    def ask(sent: Any) -> None:
        asked.append(sent.url)

    page.on("request", ask)
    page.goto(f"{address}/{name}.html", wait_until="load")
    article = page.locator("article")
    assert len(article.inner_text()) > 200
    assert page.locator("article h1").is_visible()
    ink = page.evaluate("getComputedStyle(document.querySelector('article p, article dt')).color")
    assert sum(map(int, re.findall(r"\d+", ink)[:3])) < 300, "the text is not dark on white"
    broken = "[...document.querySelectorAll('article img')].filter(i => i.complete && !i.naturalWidth)"
    assert page.evaluate(f"{broken}.map(i => i.src)") == []
    for formula in page.locator("article .math").all_text_contents():
        assert re.match(r"\s*\\[(\[]", formula), "a formula without scripts is its source"
    if name != LISTED[-1]:
        assert page.locator("a.right-next").is_visible()
    assert page.locator(".bd-sidebar-primary .reference.internal").first.is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    page.remove_listener("request", ask)
