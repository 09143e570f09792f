"""Figures and tables of the smoke book: each has its kind and its number, everywhere that it is named."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[2]
PAGES = re.findall(r"(?:root|file): (book/\S+)", (ROOT / "_toc.yml").read_text())


@pytest.fixture(scope="module")
def soups(html: Path) -> dict[str, BeautifulSoup]:
    """Every page in the order of the book."""
    return {
        name: BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        for name in PAGES
    }


@pytest.fixture(scope="module")
def numbered(soups) -> dict[str, Tag]:
    """What stands under a number, "Table 3", in the order of the book."""
    found: dict[str, Tag] = {}
    for soup in soups.values():
        for number in soup.select("article figure .caption-number"):
            words = number.get_text(strip=True)
            assert words not in found
            found[words] = number.find_parent("figure")
    return found


@pytest.mark.parametrize(("kind", "least"), [("Fig.", 30), ("Table", 30)])
def test_each_kind_is_counted_without_gaps(numbered, kind: str, least: int) -> None:
    counted = [words for words in numbered if words.startswith(kind)]
    assert counted == [f"{kind} {number}" for number in range(1, len(counted) + 1)]
    assert len(counted) >= least


def test_tables_are_tables_and_figures_are_pictures(numbered) -> None:
    for words, figure in numbered.items():
        table, prefix = words.startswith("Table"), str(figure["id"])[:4]
        assert prefix == ("tab-" if table else "fig-")
        assert bool(figure.select("table")) == table, words
        assert bool(figure.select("img")) != table, words
        (caption,) = figure.select("figcaption")
        content = figure.select_one("table, img")
        order = [tag for tag in figure.descendants if tag is caption or tag is content]
        assert (order[0] is caption) == table, f"{words}: a caption stands above a table and below a picture"


def test_everything_with_a_caption_is_numbered(soups, numbered) -> None:
    placed = [tag for soup in soups.values() for tag in soup.select('figure[id^="fig-"], figure[id^="tab-"]')]
    assert placed == list(numbered.values())


def test_references_name_what_they_lead_to(soups) -> None:
    named = {
        f"{page}#{figure['id']}": figure.select_one(".caption-number").get_text(strip=True)
        for page, soup in soups.items()
        for figure in soup.select("article figure:has(.caption-number)")
    }
    seen = set()
    for page, soup in soups.items():
        for words in soup.select("article .std-numref"):
            there, _, anchor = str(words.find_parent("a")["href"]).partition("#")
            target = f"{Path(page).parent / there.removesuffix('.html')}" if there else page
            assert words.get_text(strip=True) == named[f"{target}#{anchor}"]
            seen.add(words.get_text(strip=True).split()[0])
    assert seen == {"Fig.", "Table"}


def test_every_caption_leads_to_the_cell_that_made_it(html: Path, soups) -> None:
    """The cell on the page has the source of the one whose output the executed notebook has by that name."""
    seen = 0
    for source in sorted((ROOT / "book").glob("[0-9][0-9]_*.py")):
        placed = re.findall(r"\{glue:figure\} (\S+)\n(?:# :.*\n)*?# :name: (\S+)", source.read_text())
        executed = nbformat.read(html.parent / "notebooks" / f"{source.stem}.ipynb", as_version=4)
        makers = {
            output["metadata"].get("scrapbook", {}).get("name"): cell.source
            for cell in executed.cells
            for output in cell.get("outputs", [])
            if "metadata" in output
        }
        soup = soups[f"book/{source.stem}"]
        assert len(placed) == len(soup.select("figure .caption-number"))
        for key, name in placed:
            link = soup.find(id=name).select_one("figcaption .origin a")
            cell = soup.find(id=str(link["href"]).removeprefix("#"))
            shown = cell.select_one(".cell_input pre").get_text()
            assert "".join(shown.split()) == "".join(makers[key].split()), name
            commit = executed.metadata["run"]["commit"]
            assert f"commit {commit[:7]}" in " ".join(soup.find(id=name).select_one(".origin").text.split())
            seen += 1
    assert seen > 60


def test_pictures_are_there_when_the_page_is(browser, address: str) -> None:
    """A picture of the whole page, or a print of it, is taken without anybody scrolling."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{address}/book/01_data.html", wait_until="load")
    images = page.evaluate(
        "[...document.querySelectorAll('article img')]"
        ".map(i => [i.getBoundingClientRect().y, i.naturalWidth])"
    )
    assert images[-1][0] > 5000, "nothing lies far below the first screen"
    assert all(width for _, width in images)
    assert all(high <= low for (high, _), (low, _) in pairwise(images))
    page.close()
