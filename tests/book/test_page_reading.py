"""Every page of the smoke book can be read: light to load, by keyboard and screen reader, without scripts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = re.findall(r"(?:root|file): (book/\S+)", (ROOT / "_toc.yml").read_text())
KINDS = [
    f"book/{name}"
    for name in ("intro", "02_architecture", "dream_lab", "atlas", "references", "made", "api/web")
]
AXE = ROOT / "_build" / "assets" / "axe-core" / "axe.min.js"
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe that look at colours."""
COMPLETE = """[...document.querySelectorAll('article .math')].every(e => e.querySelector('mjx-container'))
    && !document.querySelector('form[id$=-form][hidden]:not(#atlas-form), #atlas-root:not(.live)')"""
"""True of a page once its scripts have set its formulas and shown its controls."""
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
BUDGET = 2_000_000
"""Bytes of a page and its images, before shared scripts and what a reader asks for."""

every_page = pytest.mark.parametrize("name", PAGES)


def test_the_pages_are_those_of_the_table_of_contents(html: Path) -> None:
    assert {path.relative_to(html).with_suffix("").as_posix() for path in html.glob("book/**/*.html")} == {
        *PAGES
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


def test_the_introduction_shows_it_on_one_screen(browser, address: str) -> None:
    """A galaxy and its dream, what is simulated, three doors, and findings with intervals."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{address}/book/intro.html", wait_until="load")
    page.wait_for_function(COMPLETE)
    findings = page.locator("#what-was-found .figures li")
    assert findings.count() >= 5
    for seen in (
        findings.last,
        page.locator("#embed-root"),
        page.locator(".doors"),
        page.locator("h1 ~ p").first,
    ):
        box = seen.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800
    assert "simulated" in page.locator("h1 ~ p").first.inner_text()
    assert page.locator(".doors a").all_inner_texts() == ["Read", "Run", "Dream"]
    before, after = (page.locator("#embed-root img").nth(place).bounding_box() for place in (0, 1))
    assert before["y"] == after["y"], "the galaxy and its dream do not stand side by side"
    assert before["width"] == after["width"] > 140
    page.close()


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
def tab(browser) -> Iterator[Any]:
    """One tab for all pages: what they share is read once."""
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    yield tab
    tab.close()


def axe_options(theme: str, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if theme == "dark":
        options["runOnly"] = COLOURS
    elif name not in KINDS:
        options["rules"] = {rule: {"enabled": False} for rule in COLOURS}
    return options


@every_page
def test_axe_finds_nothing_serious(tab, address: str, name: str) -> None:
    """axe-core on the page with everything unfolded.

    More than half of its time is its search for what is painted behind each text, so that it judges colours
    on one page of each kind alone. On every page the contrast of each text with what lies behind it is
    computed from the styles. The dark theme changes colours alone.
    """
    tab.emulate_media(color_scheme="light")
    tab.goto(f"{address}/{name}.html", wait_until="load")
    tab.wait_for_function(COMPLETE)
    tab.add_style_tag(
        content="*, *::before, *::after { transition: none !important; animation: none !important }"
    )
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    for theme in ("light", "dark"):
        tab.emulate_media(color_scheme=theme)
        tab.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
        if theme == "light" or name in KINDS:
            found = tab.evaluate("options => axe.run(options)", axe_options(theme, name))
            assert found["passes"], "axe checked nothing"
            assert [
                f"{theme}: {fault['id']}: {node['target']} {node['html'][:120]} {node['failureSummary']}"
                for fault in found["violations"]
                if fault["impact"] in ("serious", "critical")
                for node in fault["nodes"]
            ] == []
        contrast = tab.evaluate(CONTRAST)
        assert contrast["texts"] > 20
        assert contrast["found"] == [], theme


def test_contrast_is_what_axe_says_it_is(html: Path, browser) -> None:  # axe comes with the built book
    """Texts in many inks, grounds, sizes and opacities: axe finds fault with the same ones."""
    random = np.random.default_rng(0)
    texts = []
    for number in range(200):
        ink, ground, whole = np.where(np.arange(3) == random.integers(4), (0.8, 0.5, 0.7), 1)
        colours = [",".join(map(str, random.integers(256, size=3))) for _ in range(2)]
        style = f"color: rgba({colours[0]},{ink}); background: rgba({colours[1]},{ground}); opacity: {whole};"
        style += f"font: {random.choice([400, 700])} {random.choice([12, 18, 19, 24, 30])}px serif"
        texts.append(f'<p id="text{number}" style="{style}">words</p>')
    page = browser.new_page()
    page.set_content(f'<html lang="en"><title>x</title><body style="background: #123">{"".join(texts)}')
    page.evaluate(AXE.read_text(encoding="utf-8"))
    (fault,) = page.evaluate("axe.run(document, {runOnly: ['color-contrast']})")["violations"]
    named = {node["target"][0].removeprefix("#") for node in fault["nodes"]}
    # What cannot be seen at all (1:1), axe takes for meant.
    found = {
        re.search(r'id="(\w+)"', html)[1]
        for html, ratio, _ in page.evaluate(CONTRAST)["found"]
        if ratio >= 1.01
    }
    assert found == named
    assert 50 < len(found) < 190
    page.close()


def test_axe_finds_what_is_there(browser, address: str) -> None:
    page = browser.new_page()
    page.set_content('<html lang="en"><title>x</title><p style="color: #999">pale</p><img src="data:,">')
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document)")["violations"]
    assert {"color-contrast", "image-alt"} <= {fault["id"] for fault in found}
    page.close()


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
    if name != PAGES[-1]:
        assert page.locator("a.right-next").is_visible()
    assert page.locator(".bd-sidebar-primary .reference.internal").first.is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    page.remove_listener("request", ask)
