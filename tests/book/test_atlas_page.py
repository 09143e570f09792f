"""The atlas on the built smoke book, in Chromium: cells by key and by click, the live dream, no scripts."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from ci.atlas import in_words, name_of
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.paper.atlas_page import commonest, read_atlas

ROOT = Path(__file__).resolve().parents[2]
# Long enough for a busy machine; nothing waits this long unless it fails.
PATIENCE = 120_000


@pytest.fixture(scope="module")
def atlas() -> dict:
    return read_atlas()


@pytest.fixture(scope="module")
def soup(html: Path) -> BeautifulSoup:
    return BeautifulSoup((html / "book" / "atlas.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def tab(browser) -> Iterator:
    """One tab for many tests: what their pages share is read once."""
    context = browser.new_context(viewport={"width": 1280, "height": 844})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


@pytest.fixture
def page(tab) -> Iterator:
    """An empty page in that tab, without any error until its test ends."""
    tab.goto("about:blank")
    faults = []

    def hear(fault) -> None:
        faults.append(f"{fault}")

    tab.on("pageerror", hear)
    yield tab
    tab.remove_listener("pageerror", hear)
    assert faults == []


def visit(page, address: str, fragment: str = "") -> None:
    page.goto(f"{address}/book/atlas.html{fragment}", wait_until="load")
    page.wait_for_selector("#atlas-root.live")


def area(cell: dict) -> str:
    return f'area[href="#{name_of(cell)}"]'


def test_every_cell_has_its_area_its_text_and_its_section(soup: BeautifulSoup, atlas: dict) -> None:
    areas = soup.select("#atlas-areas area")
    assert soup.select_one("#atlas-picture")["usemap"] == f"#{soup.select_one('#atlas-areas')['name']}"
    size = int(soup.select_one("#atlas-picture")["width"]) // atlas["settings"]["side"]
    assert len(areas) == len(soup.select(".atlas-cell")) == len(atlas["cells"])
    for found, cell in zip(areas, atlas["cells"], strict=True):
        left, top = cell["column"] * size, cell["row"] * size
        assert found["coords"] == f"{left},{top},{left + size},{top + size}"
        total, label = sum(cell["classes"]), commonest(cell)
        assert found["alt"].startswith(
            f"cell row {cell['row'] + 1}, column {cell['column'] + 1}: {total} gal"
        )
        assert CLASS_NAMES[label] in found["alt"]
        section = soup.select_one(str(found["href"]))
        told = {
            name: int(count)
            for name, count in re.findall(
                r"(.+): (\d+) of", "\n".join(each.text for each in section.select("li"))
            )
        }
        assert told == {CLASS_NAMES[number]: count for number, count in enumerate(cell["classes"]) if count}
        pictures = section.select('[role="img"]')
        assert all(picture["aria-label"] for picture in pictures)
        assert f"galaxies-{cell['row']}.webp" in pictures[1]["style"]


def test_page_and_its_files_are_light(html: Path) -> None:
    served = [*(html / "atlas").iterdir(), *(html / "lab").glob("atlas.*"), html / "book" / "atlas.html"]
    assert {file.name for file in served} >= {"atlas.json", "dreams.webp", "galaxies-0.webp", "atlas.js"}
    assert sum(file.stat().st_size for file in served) < 4e6
    assert {file.name for file in served if file.suffix == ".webp"} == {
        file.name for file in (ROOT / "benchmarks" / "results" / "atlas").glob("*.webp")
    }


def test_cells_are_walked_with_the_arrow_keys_and_opened_with_enter(page, address: str, atlas: dict) -> None:
    visit(page, address)
    places = {(cell["row"], cell["column"]): cell for cell in atlas["cells"]}
    here = next(
        cell
        for (row, column), cell in places.items()
        if {(row, column + 1), (row + 1, column + 1), (row + 1, column)} <= {*places}
    )
    assert page.eval_on_selector_all("area", "all => all.filter(one => one.tabIndex === 0).length") == 1
    page.focus(area(here))
    for key, (down, right) in (("ArrowRight", (0, 1)), ("ArrowDown", (1, 1)), ("ArrowLeft", (1, 0))):
        page.keyboard.press(key)
        there = places[here["row"] + down, here["column"] + right]
        assert page.evaluate("document.activeElement.hash") == f"#{name_of(there)}"
        assert page.inner_text("#atlas-under") == in_words(there)
    page.keyboard.press("Enter")
    shown = page.locator(".atlas-cell:visible")
    assert shown.count() == 1
    assert shown.get_attribute("id") == name_of(there)
    assert shown.locator('[role="img"]').nth(1).bounding_box()["width"] > 200
    assert in_words(there) in page.inner_text("#atlas-said")
    assert page.url.endswith(f"#{name_of(there)}")
    options = page.locator("[name=start] option").all_inner_texts()
    assert options[0] == "the dream of this cell"
    assert options[1] == f"its galaxy 1: {CLASS_NAMES[atlas['labels'][there['examples'][0]]]}"
    assert len(options) == len(there["examples"]) + 2


def test_every_cell_is_reached_with_the_arrow_keys(page, address: str, atlas: dict) -> None:
    visit(page, address)
    reached = page.evaluate(
        """() => {
          const seen = new Set(), open = [document.querySelector("area")];
          while (open.length) {
            const area = open.pop();
            if (seen.has(area.hash)) continue;
            seen.add(area.hash);
            for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
              area.focus();
              area.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
              open.push(document.activeElement);
            }
          }
          return seen.size;
        }"""
    )
    assert reached == len(atlas["cells"])


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_click_opens_the_cell_beneath_it(browser, address: str, atlas: dict, width: int) -> None:
    """The areas follow the picture where it is smaller than the map."""
    page = browser.new_page(viewport={"width": width, "height": 844})
    visit(page, address)
    box = page.locator("#atlas-picture").bounding_box()
    size = box["width"] / atlas["settings"]["side"]
    assert box["width"] <= width
    assert size >= 24, "a cell is too small for a finger"
    for cell in (atlas["cells"][0], atlas["cells"][-1], atlas["cells"][len(atlas["cells"]) // 2]):
        place = {"x": (cell["column"] + 0.9) * size, "y": (cell["row"] + 0.9) * size}
        page.click("#atlas-picture", position=place)
        assert page.locator(".atlas-cell:visible").get_attribute("id") == name_of(cell)
    page.close()


def test_the_dream_goes_on_live_and_follows_the_cell(page, address: str, atlas: dict) -> None:
    cell, other = atlas["cells"][len(atlas["cells"]) // 2], atlas["cells"][0]
    visit(page, address, f"#{name_of(cell)}")
    assert page.locator(".atlas-cell:visible").get_attribute("id") == name_of(cell)
    asked = []

    def ask(sent) -> None:
        asked.append(sent.url)

    page.on("request", ask)
    for start in ("dream", "0"):
        page.select_option("[name=start]", start)
        page.click("text=Go on dreaming here")
        page.wait_for_function("/^Done/.test(document.getElementById('atlas-status').textContent)")
        assert page.is_visible("#atlas-canvas")
        pixels = page.evaluate(
            """() => {
              const canvas = document.getElementById("atlas-canvas");
              return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
            }"""
        )
        assert len(pixels) == 4 * atlas["sheets"]["dreams"]["tile"] ** 2
        assert len({*pixels[::4]}) > 20, "the dream is blank"
    page.remove_listener("request", ask)
    assert any("/networks/small/" in url for url in asked)
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    page.evaluate(f"location.hash = '#{name_of(other)}'")
    page.wait_for_function(f"document.querySelector('.atlas-cell.chosen').id === '{name_of(other)}'")
    assert not page.is_visible("#atlas-canvas")
    assert page.is_visible(f"#{name_of(other)} #atlas-form")


def test_live_direction_grows(page, address: str, atlas: dict) -> None:
    """The network excites the cell's direction more after the dream than before it."""
    cell = atlas["cells"][len(atlas["cells"]) // 3]
    visit(page, address)
    before, after = page.evaluate(
        """async ([vector, stage]) => {
          const { Engine, noise } = await import("../lab/engine.js");
          const engine = new Engine({ base: "../lab/" });
          await engine.load("../lab/networks/small/");
          const linear = vector.map((value) => value / Math.hypot(...vector));
          const how = { size: 64, steps: 8, octaves: 1 };
          const done = await engine.run(noise(64, 64, 0), { stage, linear }, how);
          return [done.values[0], done.values.at(-1)];
        }""",
        [cell["vector"], atlas["settings"]["stage"]],
    )
    assert after > before


def test_a_page_that_cannot_fetch_says_so(page, address: str, atlas: dict) -> None:
    visit(page, address, f"#{name_of(atlas['cells'][0])}")
    page.route("**/atlas/atlas.json", lambda route: route.abort())
    page.reload(wait_until="load")
    page.click("text=Go on dreaming here")
    page.wait_for_function("/still here/.test(document.getElementById('atlas-status').textContent)")
    assert "could not be fetched" in page.inner_text("#atlas-status")
    assert page.is_enabled("text=Go on dreaming here")
    page.unroute("**/atlas/atlas.json")


def test_without_scripts_a_cell_leads_to_what_is_in_it(browser, address: str, atlas: dict) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/book/atlas.html")
    assert page.locator(".atlas-cell:visible").count() == 0
    assert not page.is_visible("#atlas-form")
    cell = atlas["cells"][7]
    size = int(page.get_attribute("#atlas-picture", "width")) / atlas["settings"]["side"]
    place = {"x": (cell["column"] + 0.5) * size, "y": (cell["row"] + 0.5) * size}
    page.click("#atlas-picture", position=place)
    shown = page.locator(".atlas-cell:visible")
    assert shown.get_attribute("id") == name_of(cell)
    assert in_words(cell)[1:] in shown.inner_text()
    page.goto(f"{address}/book/atlas.html#{name_of(atlas['cells'][0])}")
    page.focus(area(cell))
    page.keyboard.press("Enter")
    assert page.locator(".atlas-cell:visible").get_attribute("id") == name_of(cell)
    context.close()
