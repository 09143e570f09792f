"""Print all pages of a built book into one PDF with Chromium: `python -m ci.pdf _build/html`."""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from galaxylib.errors import GalaxyError
from galaxylib.files import atomic

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8px sans-serif; color: #555">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)


def pages(html: Path) -> list[Path]:
    """The pages in the order of the book: each names the one that comes next."""
    found = [html / "book" / "intro.html"]
    while True:
        soup = BeautifulSoup(found[-1].read_text(encoding="utf-8"), "html.parser")
        following = soup.select_one('link[rel="next"]')
        if following is None:
            return found
        found.append((found[-1].parent / str(following["href"])).resolve())


def bind(html: Path) -> str:
    """All pages of a book as one, for printing; links between them lead within it.

    Args:
        html: the folder of the built pages.

    Returns:
        HTML that stands in the folder of the pages, with their styles and no script but the formulas'.
    """
    order = pages(html.resolve())
    first = BeautifulSoup(order[0].read_text(encoding="utf-8"), "html.parser")
    first.html["data-theme"] = first.html["data-mode"] = "light"
    for script in first.find_all("script"):
        if "mathjax" not in f"{script}".lower():
            script.decompose()
    whole = first.new_tag("article", attrs={"class": "bd-article"})
    for page in order:
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        chapter = first.new_tag("section", id=page.stem, attrs={"class": "printed-page"})
        for spare in article.select("script, details, .headerlink, .full-size, noscript, iframe"):
            spare.decompose()
        rename(article, page, {other.stem for other in order})
        chapter.extend(list(article.children))
        whole.append(chapter)
    first.body.clear()
    first.body.attrs = {}
    first.body.append(whole)
    return str(first)


def rename(article: Tag, page: Path, bound: set[str]) -> None:
    """Keep names of different pages apart, and let links to bound pages lead within the one document."""
    for tag in article.select("[id]"):
        tag["id"] = f"{page.stem}--{tag['id']}"
    for link in article.select("a[href]"):
        there = re.fullmatch(r"(?:([\w-]+)\.html)?(?:#(.+))?", str(link["href"]))
        name = (there[1] or page.stem) if there else ""
        if name in bound:
            link["href"] = f"#{name}--{there[2]}" if there[2] else f"#{name}"
        elif not re.match(r"https?:|mailto:", str(link["href"])):
            link.unwrap()  # a file beside the pages is not in the PDF


def write_pdf(html: Path, path: Path) -> None:
    """Print a built book on A4.

    Raises:
        GalaxyError: there is no Chromium, or no built book.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise GalaxyError("No Chromium found to print with: install Debian's chromium, or Google Chrome.")
    if not (html / "book" / "intro.html").is_file():
        raise GalaxyError(f"There are no pages in {html}: run `make book` first.")
    from playwright.sync_api import sync_playwright

    bound = html / "book" / "_print.html"
    try:
        bound.write_text(bind(html), encoding="utf-8")
        with sync_playwright() as playwright, atomic(path) as partial:
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            page = browser.new_page()
            page.goto(bound.resolve().as_uri(), wait_until="networkidle")
            page.wait_for_function("!window.MathJax || MathJax.startup?.promise")  # its script is there
            page.evaluate("window.MathJax && MathJax.startup.promise.then(() => null)")
            page.pdf(
                path=partial,
                format="A4",
                scale=0.8,
                margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOTER,
                print_background=True,
                outline=True,
                tagged=True,
            )
            browser.close()
    finally:
        bound.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.pdf", description=__doc__)
    parser.add_argument("html", type=Path, help="the pages; book.pdf goes beside their folder")
    options = parser.parse_args(arguments)
    html = options.html.resolve()  # _build/html points to the run that was built last
    try:
        write_pdf(html, html.with_name("book.pdf"))
    except GalaxyError as fault:
        print(fault, file=sys.stderr)
        return 1
    print(os.path.relpath(html.with_name("book.pdf")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
