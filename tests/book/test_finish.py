"""What is done to Sphinx's pages after it, and their way onto paper, on a book of two small pages."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from ci.finish import finish, set_sentences
from ci.pdf import PROGRAMS, bind, main, write_pdf
from galaxylib.errors import GalaxyError

ROOT = Path(__file__).resolve().parents[2]
PAGE = """<!DOCTYPE html><html lang="en" data-theme="auto"><head><title>{title}</title>{head}</head><body>
<main id="main-content"><article class="bd-article"><section id="top"><h1>{title}</h1><p>{text}</p>
<figure><img alt="noise" src="../_images/{image}.png"/><figcaption><p>A picture.</p></figcaption></figure>
<figure id="tab-two"><div><style>th {{ text-align: right }}</style><table border="1">
<thead><tr><th></th><th>score</th></tr></thead>
<tbody><tr><th>here</th><td>5</td></tr></tbody></table></div>
<figcaption><p><span class="caption-text">Scores.</span></p></figcaption></figure>
</section></article></main></body></html>"""
TEXT = 'See <a href="two.html#top">the other</a>, <a href="#top">above</a>, <a href="../x.png">a file</a>.'


@pytest.fixture
def html(tmp_path: Path) -> Path:
    (tmp_path / "html" / "book").mkdir(parents=True)
    (tmp_path / "html" / "_images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (90, 1600, 4), dtype=np.uint8)
    noise[:, :800, 3] = 0
    Image.fromarray(noise).save(tmp_path / "html" / "_images" / "heavy.png")
    Image.new("RGB", (300, 200), "red").save(tmp_path / "html" / "_images" / "light.png")
    head = '<link rel="next" href="two.html"><link rel="canonical" href="https://a.org/b/book/intro.html">'
    for name, values in (
        ("intro", {"title": "One", "text": TEXT, "image": "heavy", "head": head}),
        ("two", {"title": "Two", "text": "Words.", "image": "light", "head": ""}),
    ):
        (tmp_path / "html" / "book" / f"{name}.html").write_text(PAGE.format(**values))
    return tmp_path / "html"


def soup(html: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((html / "book" / f"{name}.html").read_text(), "html.parser")


def test_heavy_image_is_shown_small_and_linked_whole(html: Path) -> None:
    finish(html)
    image = soup(html, "intro").img
    assert (image["src"], image["width"], image["height"]) == ("../_images/heavy.webp", "1440", "81")
    with Image.open(html / "_images" / "heavy.webp") as shown:
        assert shown.size == (1440, 81)
        assert np.asarray(shown)[:, :700].min() > 240  # what is clear lies on white
    (link,) = soup(html, "intro").select("figcaption a.full-size")
    assert link["href"] == "../_images/heavy.png"
    assert "1600 x 90 pixels" in link.text
    image = soup(html, "two").img
    assert (image["src"], image["width"]) == ("../_images/light.png", "300")
    assert not image.has_attr("loading"), "a picture of the whole page would lack it"
    assert not soup(html, "two").select(".full-size")


def test_table_has_headers_with_words_and_a_keyboard(html: Path) -> None:
    finish(html)
    table = soup(html, "two").table
    assert [(cell.name, cell.get("scope")) for cell in table.find_all(["th", "td"])] == [
        ("td", None),
        ("th", "col"),
        ("th", "row"),
        ("td", None),
    ]
    assert (table.parent["class"], table.parent["tabindex"]) == (["wide"], "0")
    assert table.parent["aria-label"] == "Scores."
    figure = table.find_parent("figure")
    assert [child.name for child in figure.find_all(True, recursive=False)] == ["figcaption", "div"]
    assert not soup(html, "two").article.style


def test_a_quoted_number_stands_out_and_a_sentence_does_not() -> None:
    sentence = "Of all the properties that were asked for, two are read."
    quoted = "".join(f'<span class="pasted-text">{text}</span>' for text in ("0.92", sentence, "a, b and c"))
    soup = BeautifulSoup(f"<article><p>{quoted}</p></article>", "html.parser")
    set_sentences(soup)
    assert [span.get_text() for span in soup.select(".plain .pasted-text")] == [sentence]
    assert len(soup.select("p > .pasted-text")) == 2


def test_card_is_whole_where_the_site_is_known(html: Path) -> None:
    finish(html)
    cards = {
        name: {tag.get("property"): tag["content"] for tag in soup(html, name).select("meta[property]")}
        for name in ("intro", "two")
    }
    assert cards["intro"]["og:image"] == "https://a.org/b/_static/card.jpg"
    assert cards["intro"]["og:url"] == "https://a.org/b/book/intro.html"
    assert cards["two"]["og:image"] == "../_static/card.jpg"
    assert "og:url" not in cards["two"]
    assert cards["two"]["og:description"] == "Words."


def test_bound_pages_link_to_each_other(html: Path) -> None:
    finish(html)
    whole = BeautifulSoup(bind(html), "html.parser")
    named = [tag["id"] for tag in whole.select("[id]")]
    assert named == ["intro", "intro--top", "intro--tab-two", "two", "two--top", "two--tab-two"]
    links = [(link.text, link["href"]) for link in whole.select("p a")]
    assert links == [("the other", "#two--top"), ("above", "#intro--top")]


@pytest.mark.slow
def test_book_is_printed(html: Path) -> None:
    if not any(map(shutil.which, PROGRAMS)):
        pytest.skip("no Chromium found: install Debian's chromium to test printing")
    finish(html)
    before = {*html.rglob("*")}
    # In a process of its own: Playwright refuses to start twice in one.
    done = subprocess.run(
        [sys.executable, "-m", "ci.pdf", str(html)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = (html.parent / "book.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert b"(Two)" in printed, "no outline"
    assert {*html.rglob("*")} == before


def test_without_chromium_or_pages_one_sentence(html: Path, monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main([str(html)]) == 1
    assert capsys.readouterr().err == (
        "No Chromium found to print with: install Debian's chromium, or Google Chrome.\n"
    )
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/true")
    with pytest.raises(GalaxyError, match="run `make book` first"):
        write_pdf(tmp_path / "none", tmp_path / "book.pdf")
