"""Each page of the smoke book, served from a plain static server and opened in Chromium, wide and narrow."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import LISTED, ROOT

KINDS = [
    f"book/{name}"
    for name in ("intro", "02_architecture", "dream_lab", "atlas", "references", "made", "api/web")
]
AXE = ROOT / "_build" / "assets" / "axe-core" / "axe.min.js"
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe that look at colours."""
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
COMPLETE = """[...document.querySelectorAll('article .math')].every(e => e.querySelector('mjx-container'))
    && !document.querySelector('form[id$=-form][hidden]:not(#atlas-form), #atlas-root:not(.live)')"""
"""True of a page once its scripts have set its formulas and shown its controls."""
NO_FAULTS: dict[str, list[str]] = {"outside": [], "failed": [], "errors": []}


@pytest.mark.parametrize("name", LISTED)
def test_page_is_whole_without_a_browser(html: Path, name: str) -> None:
    text = (html / f"{name}.html").read_text()
    body = text[text.index("<article") : text.index("</article>")]
    assert len(re.findall(r"<h1", body)) == 1
    assert re.search(r"<title>\S.+</title>", text)
    assert "{glue" not in body
    assert "system-message" not in body
    assert "injected-parameters" not in body
    shown = re.findall(r'<figure[^>]* id="fig-[^>]*>\s*<(\w+)', body)
    assert {*shown} <= {"img"}, "a figure is not an image"
    assert not [tag for tag in re.findall(r"<img[^>]*>", body) if not re.search(r'alt="[^"]+"', tag)]
    if name.removeprefix("book/")[:2].isdigit():
        assert "imulated" in body[: body.index("tag_parameters")], "the first screen does not say simulated"


@pytest.fixture(scope="module")
def desk(browser) -> Iterator[Any]:
    """One tab for all pages: what they share is read once."""
    tab = browser.new_page(viewport={"width": 1280, "height": 844})
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def phone(browser) -> Iterator[Any]:
    """The same on a phone."""
    tab = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    yield tab
    tab.close()


@contextmanager
def watched(page: Any, address: str) -> Iterator[dict[str, list[str]]]:
    """What goes wrong in a tab meanwhile."""
    faults: dict[str, list[str]] = {"outside": [], "failed": [], "errors": []}
    listeners = {
        "request": lambda sent: faults["outside"].append(sent.url) if not _own(sent.url, address) else None,
        "response": lambda got: faults["failed"].append(got.url) if got.status >= 400 else None,
        "console": lambda said: faults["errors"].append(said.text) if said.type == "error" else None,
        "pageerror": lambda fault: faults["errors"].append(f"{fault}"),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    yield faults
    for event, listener in listeners.items():
        page.remove_listener(event, listener)


@pytest.mark.parametrize("name", LISTED)
def test_page_in_chromium(desk, phone, address: str, name: str) -> None:
    """Whole, and shutting nobody out; while axe reads the one tab, the other falls silent."""
    with watched(desk, address) as at_desk, watched(phone, address) as at_phone:
        desk.emulate_media(color_scheme="light")
        for page in (phone, desk):
            page.goto(f"{address}/{name}.html", wait_until="load")
            # At once: the theme scrolls smoothly, and the page would be drawn dozens of times on its way.
            page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
        for page in (phone, desk):
            page.wait_for_function(COMPLETE)
            assert_set_in_the_window(page)
        assert_nothing_serious(desk, name)
        for page in (phone, desk):
            page.wait_for_load_state("networkidle")
            broken = (
                "[...document.querySelectorAll('article img')].filter(i => i.complete && !i.naturalWidth)"
            )
            assert page.evaluate(f"{broken}.map(i => i.src)") == []
    assert (at_desk, at_phone) == (NO_FAULTS, NO_FAULTS)


def assert_set_in_the_window(page: Any) -> None:
    """Nothing is wider than the window, and each formula is set once."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, page.evaluate(
        "[...document.querySelectorAll('article *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth)"
        ".slice(0, 5).map(e => e.outerHTML.slice(0, 200))"
    )
    formulas = page.evaluate("document.querySelectorAll('article .math').length")
    typeset = "document.querySelectorAll('article .math mjx-container').length"
    page.wait_for_function(f"{typeset} === {formulas}")


def assert_nothing_serious(tab: Any, name: str) -> None:
    """axe-core on the page with everything unfolded.

    More than half of its time is its search for what is painted behind each text, so that it judges colours
    on one page of each kind alone. On every page the contrast of each text with what lies behind it is
    computed from the styles. The dark theme changes colours alone.
    """
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


def axe_options(theme: str, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if theme == "dark":
        options["runOnly"] = COLOURS
    elif name not in KINDS:
        options["rules"] = {rule: {"enabled": False} for rule in COLOURS}
    return options


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


def test_root_leads_to_the_introduction(browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    page.wait_for_url("**/book/intro.html")
    assert page.inner_text("h1").startswith("The executable paper of DMAGNet")
    page.close()


def _own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))
