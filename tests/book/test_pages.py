"""The pages of the smoke book, served from a plain static server and opened in Chromium, wide and narrow."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "intro",
    *(path.stem for path in sorted((ROOT / "book").glob("[0-9][0-9]_*.py"))),
    "dream_lab",
    "atlas",
    "references",
    "made",
    "licences",
    "api/index",
    "api/data",
    "api/dream",
]

every_page = pytest.mark.parametrize("name", NAMES)
WIDTHS = (1280, 390)
NO_FAULTS: dict[str, list[str]] = {"outside": [], "failed": [], "errors": []}


@every_page
def test_page_is_whole_without_a_browser(html: Path, name: str) -> None:
    text = (html / "book" / f"{name}.html").read_text()
    body = text[text.index("<article") : text.index("</article>")]
    assert len(re.findall(r"<h1", body)) == 1
    assert re.search(r"<title>\S.+</title>", text)
    assert "{glue" not in body
    assert "system-message" not in body
    assert "injected-parameters" not in body
    shown = re.findall(r'<figure[^>]* id="fig-[^>]*>\s*<(\w+)', body)
    assert {*shown} <= {"img"}, "a figure is not an image"
    assert not [tag for tag in re.findall(r"<img[^>]*>", body) if not re.search(r'alt="[^"]+"', tag)]
    if name[:2].isdigit():
        assert "imulated" in body[: body.index("tag_parameters")], "the first screen does not say simulated"


@pytest.fixture(scope="module")
def tabs(browser) -> Iterator[dict[int, Any]]:
    """One tab of each width: what the pages share is read once."""
    tabs = {}
    for width in WIDTHS:
        phone = width < 500
        tabs[width] = browser.new_page(
            viewport={"width": width, "height": 844}, is_mobile=phone, has_touch=phone
        )
    yield tabs
    for tab in tabs.values():
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


@every_page
def test_page_in_chromium(tabs, address: str, name: str) -> None:
    """At both widths: one tab falls silent while the other loads."""
    with watched(tabs[1280], address) as desktop, watched(tabs[390], address) as phone:
        for page in tabs.values():
            page.goto(f"{address}/book/{name}.html", wait_until="load")
            page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        for page in tabs.values():
            assert_whole(page)
    assert (desktop, phone) == (NO_FAULTS, NO_FAULTS)


def assert_whole(page: Any) -> None:
    """Its pictures are there, nothing is wider than the window, and its formulas are set."""
    page.wait_for_load_state("networkidle")
    broken = "[...document.querySelectorAll('article img')].filter(i => i.complete && !i.naturalWidth)"
    assert page.evaluate(f"{broken}.map(i => i.src)") == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, page.evaluate(
        "[...document.querySelectorAll('article *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth)"
        ".slice(0, 5).map(e => e.outerHTML.slice(0, 200))"
    )
    formulas = page.evaluate("document.querySelectorAll('article .math').length")
    typeset = "document.querySelectorAll('article .math mjx-container').length"
    page.wait_for_function(f"{typeset} === {formulas}")


def test_root_leads_to_the_introduction(browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    page.wait_for_url("**/book/intro.html")
    assert page.inner_text("h1").startswith("The executable paper of DMAGNet")
    page.close()


def _own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))
