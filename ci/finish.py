"""Finish the pages that Sphinx wrote: light images, tables and controls for everyone, cards for shared links.

What Jupyter Book 1 and its theme leave open is mended here, in the HTML itself: it holds without scripts too.
"""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from PIL import Image

# Two pixels of a figure for each pixel of the text's column, which is at most 720 wide.
WIDEST = 1440
QUALITY = 90
# Below this many bytes an image is served as it is.
LIGHT = 100_000
CARD = "card.jpg"
SENTENCE = 8
"""Words from which a quoted result that ends with a stop is a sentence."""
NAME = "The executable paper of DMAGNet"
# A share and its interval as the first page writes them: 81.7% (70.1% to 89.4%).
SHARE = re.compile(r"([\d.]+)%\s+\(([\d.]+)%\s+to\s+([\d.]+)%\)")
SELDOM = (100_000, 50, 100)
"""Objects, and rounds, after which Python looks for garbage where large trees of objects are made."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let Python look for garbage seldom meanwhile: a third of the time goes there where pages are parsed."""
    usual = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@seldom_collected()
def finish(html: Path) -> None:
    """Finish every page of a built book, in place.

    Args:
        html: the folder that Sphinx wrote; the images that the pages show are in its `_images/`.
    """
    for page in sorted(html.rglob("*.html")):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        if soup.head is None or soup.select_one("#main-content") is None:
            continue
        lighten_images(soup, page.parent)
        mend_tables(soup)
        draw_intervals(soup)
        set_sentences(soup)
        mend_controls(soup)
        add_card(soup, root="../" * (len(page.relative_to(html).parts) - 1))
        page.write_text(str(soup), encoding="utf-8")


def lighten_images(soup: BeautifulSoup, folder: Path) -> None:
    """Show heavy figures as WebP at the size of the page, the file itself one click away in the caption.

    Every image states its size, so that text does not jump. None waits until it is scrolled to: it would be
    missing from a picture of the whole page, and from a print of it.

    Args:
        soup: the page, changed in place.
        folder: where the page lies; the addresses of its images are relative to it.
    """
    for tag in soup.select("article img"):
        file = folder / str(tag["src"])
        if "/_images/" not in str(tag["src"]) or file.suffix != ".png":
            continue
        shown = light_copy(file)
        with Image.open(shown) as image:
            if not tag.has_attr("style") and not tag.has_attr("width"):
                tag["width"], tag["height"] = image.size
        if shown != file:
            tag["src"] = str(tag["src"]).replace(file.name, shown.name)
            link_to_full(soup, tag, file)


def light_copy(file: Path) -> Path:
    """The file to show for a PNG: itself if it is light enough, else a WebP beside it.

    Raises:
        OSError: the PNG is no image, or the disk is full.
    """
    copy = file.with_suffix(".webp")
    if file.stat().st_size <= LIGHT:
        return file
    if not copy.exists():
        with Image.open(file) as image:
            drawn = image.convert("RGBA")
        flat = Image.new("RGB", drawn.size, "white")
        flat.paste(drawn, mask=drawn.getchannel("A"))
        if flat.width > WIDEST:
            flat = flat.resize((WIDEST, round(flat.height * WIDEST / flat.width)), Image.Resampling.LANCZOS)
        flat.save(copy, quality=QUALITY, method=4)
    return copy if copy.stat().st_size < file.stat().st_size else file


def link_to_full(soup: BeautifulSoup, image: Tag, file: Path) -> None:
    """Put a link to the file at full resolution at the end of the figure's caption."""
    figure = image.find_parent("figure")
    caption = figure.select_one("figcaption p") if figure else None
    link = soup.new_tag(
        "a", href=f"{Path(str(image['src'])).parent}/{file.name}", attrs={"class": "full-size"}
    )
    with Image.open(file) as full:
        link.string = f"Full size: {full.width} x {full.height} pixels, {file.stat().st_size / 1e6:.1f} MB."
    if caption:
        caption.append(" ")
        caption.append(link)
    else:
        image.insert_after(link)


def mend_tables(soup: BeautifulSoup) -> None:
    """Set captions above tables, let wide ones scroll by keyboard too, and make headers of words alone."""
    for caption in soup.select('article figure[id^="tab-"] > figcaption'):
        caption.parent.insert(0, caption.extract())
        for link in caption.select(".headerlink"):
            link["title"] = "Link to this table"
    for table in soup.select("article table"):
        for style in table.parent.find_all("style", recursive=False):
            style.decompose()  # pandas repeats its own with each table
        del table["border"]
        for cell in table.find_all("th"):
            if not cell.get_text(strip=True):
                cell.name = "td"
            elif not cell.has_attr("scope"):
                cell["scope"] = "col" if cell.find_parent("thead") else "row"
        figure = table.find_parent("figure")
        name = figure.select_one(".caption-text") if figure else None
        label = " ".join(words_of(name).split())[:80] if name else "Table"
        table.wrap(
            soup.new_tag(
                "div", attrs={"class": "wide", "tabindex": "0", "role": "group", "aria-label": label}
            )
        )


def words_of(caption: Tag) -> str:
    """What a caption says of its table, without where the table comes from."""
    return "".join(
        part.get_text()
        for part in caption.children
        if not (isinstance(part, Tag) and "origin" in part.get("class", []))
    )


def draw_intervals(soup: BeautifulSoup) -> None:
    """Draw the findings of the first page, shares with their intervals, as points on lines from 0 to 100 %.

    The lines repeat the words beside them, so a screen reader leaves them out.
    """
    for finding in soup.select("article .figures li > p"):
        words, _, rest = finding.decode_contents().partition("<br/>")
        share = SHARE.search(BeautifulSoup(words, "html.parser").get_text())
        if share is None:
            continue
        at, low, high = map(float, share.groups())
        drawn = (
            f'<span class="share"><strong>{at}%</strong> ({low}% to {high}%)</span>'
            f'<span aria-hidden="true" class="interval">'
            f'<span style="left: {low}%; right: {100 - high:.1f}%"></span>'
            f'<span style="left: {at}%"></span></span><span>{rest.strip()}</span>'
        )
        finding.clear()
        finding.append(BeautifulSoup(drawn, "html.parser"))


def set_sentences(soup: BeautifulSoup) -> None:
    """Set quoted results that are whole sentences as text: a number stands out in bold, a paragraph does not.

    Args:
        soup: the page, changed in place.
    """
    for quoted in soup.select("article span.pasted-text"):
        words = quoted.get_text().split()
        if len(words) >= SENTENCE and words[-1].endswith("."):
            quoted.wrap(soup.new_tag("span", attrs={"class": "plain"}))


def mend_controls(soup: BeautifulSoup) -> None:
    """Let names of controls say what is written on them, and lists hold items, as WCAG 2 asks."""
    soup.html["data-theme"] = "light"  # until a script asks the reader; "auto" has no colours
    for spare in soup.select('meta[name="viewport"]')[1:]:
        spare.decompose()
    for tag in soup.select("summary[aria-label]"):
        del tag["aria-label"]
    for arrow in soup.select(".bd-sidebar summary, .bd-sidebar-primary summary"):
        arrow["aria-label"] = "Pages of this part"  # it shows a picture alone
    for script in soup.find_all("script", string=True):
        if "search-button-field" in script.string:  # written by a script, since it needs one
            script.string = script.string.replace(' aria-label="Search"', "")
    for logo in soup.select(".sidebar-primary-item:has(> .navbar-brand)"):
        logo.name, logo["aria-label"] = "nav", "Book"
    for entry in soup.select('.citation-list > [role="doc-biblioentry"]'):
        entry["role"] = "listitem"
    # Code and formulas that scroll sideways.
    for block in soup.select("article .highlight > pre, article div.math"):
        block["tabindex"] = "0"


def add_card(soup: BeautifulSoup, *, root: str) -> None:
    """Add what other sites show of a shared link: title, first sentences, and the picture of the book.

    Addresses are whole where `_config.yml` names the site (`baseurl`, which becomes the page's canonical
    link), and relative to the page elsewhere.

    Args:
        soup: the page, changed in place.
        root: the way from the page to the book's root, such as "../".
    """
    named = soup.select_one('link[rel="canonical"]')
    address = str(named["href"]) if named else ""
    heading = soup.select_one("article h1")
    first = soup.select_one("article h1 ~ p, article section > p")
    title = " ".join(heading.get_text().rstrip("#").split()) if heading else str(soup.title.string)
    description = " ".join(first.get_text().split())[:200] if first else f"{title}: {NAME}"
    card = {
        "og:type": "article",
        "og:title": title,
        "og:description": description,
        "og:image": urljoin(address, f"{root}_static/{CARD}"),
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "Ten simulated galaxies, one of each class, above the title of the book",
        "twitter:card": "summary_large_image",
        "twitter:title": title,
        "twitter:description": description,
        "twitter:image": urljoin(address, f"{root}_static/{CARD}"),
    }
    if address:
        card["og:url"] = address
    for key, value in card.items():
        kind = "name" if key.startswith("twitter") else "property"
        soup.head.append(soup.new_tag("meta", attrs={kind: key, "content": value}))
    soup.head.append(soup.new_tag("meta", attrs={"name": "description", "content": description}))
