"""The smoke book's pages on the book itself: how to run a chapter again, the manifest, licences, the API."""

import json
import re
from fnmatch import fnmatchcase
from html import unescape
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from ci.appendix import reference
from ci.compare import compare, load_rules, values
from ci.parameters import declared
from galaxylib.files import sha256

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.py"))


def text_of(page: Path) -> str:
    """A page's words, without its tags."""
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_says_how_to_run_it_again(html: Path, chapter: Path) -> None:
    page = (html / "book" / f"{chapter.stem}.html").read_text(encoding="utf-8")
    (box,) = re.findall(
        rf'<details[^>]*id="run-{chapter.stem.replace("_", "-")}".*?</details>', page, re.DOTALL
    )
    words = unescape(re.sub(r"<[^>]+>", "", box))
    assert f"papermill book/{chapter.stem}.ipynb out.ipynb" in words
    assert "-r profile smoke" in " ".join(words.split())
    rows = re.findall(r"<tr[^>]*>\s*<td>.*?>([^<]+)</span></code>", box)
    assert rows == list(declared(chapter))
    assert re.search(r"in \d+(\.\d)? (s|min) on \d+ cores? of ", words)
    assert "torch " in words
    # the parameters' cell shows the chapter's own values, and the line below it the run's
    cell = page.index("tag_parameters")
    told = unescape(re.sub(r"<[^>]+>", "", page[cell : page.index("</section>", cell)]))
    assert 'profile = "smoke"' in " ".join(told.split())


def test_manifest_is_served_and_true(html: Path) -> None:
    results = html.parent
    manifest = json.loads((html / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == json.loads((results / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["chapters"]) == [chapter.stem for chapter in CHAPTERS]
    shown = text_of(html / "book" / "made.html")
    for chapter in CHAPTERS:
        entry = manifest["chapters"][chapter.stem]
        assert entry["result"] == sha256(results / f"{chapter.stem}.json")
        assert entry["source"] == sha256(chapter)
        assert entry["parameters"]["profile"] == "smoke"
        assert entry["result"][:12] in shown
        assert entry["source"][:12] in shown
    assert manifest["weights"]["checkpoint/weights.safetensors"] == sha256(
        results / "checkpoint" / "weights.safetensors"
    )
    assert 'href="../manifest.json"' in (html / "book" / "made.html").read_text(encoding="utf-8")


def test_pages_are_a_research_object(html: Path) -> None:
    """The crate reads back, every file that it names is there, and its hashes are those of the manifest."""
    crate = ROCrate(html)
    manifest = json.loads((html / "manifest.json").read_text(encoding="utf-8"))
    for entity in crate.data_entities:
        assert entity["sha256"] == sha256(html / entity.id), entity.id
    for stem, entry in manifest["chapters"].items():
        action = crate.get(f"#run-{stem}")
        assert [one.id for one in action["result"]] == [
            f"_sources/book/{stem}.ipynb",
            f"book/{stem}.html",
            f"results/{stem}.json",
        ]
        assert action["result"][2]["sha256"] == entry["result"]
        assert action["instrument"]["version"] == (entry["commit"] or "outside a git repository")
        assert action["startTime"] == entry["started"]
    assert crate.get("#galaxies")["identifier"] == f"fingerprint {manifest['data']['fingerprint']}"
    assert f"{ROOT}" not in (html / "ro-crate-metadata.json").read_text(encoding="utf-8")
    assert 'href="../ro-crate-metadata.json"' in (html / "book" / "made.html").read_text(encoding="utf-8")


def test_manifest_knows_every_figure(html: Path) -> None:
    manifest = json.loads((html / "manifest.json").read_text(encoding="utf-8"))
    shown = sum(
        len(
            re.findall(r'<figure[^>]* id="fig-', (html / "book" / f"{stem}.html").read_text(encoding="utf-8"))
        )
        for stem in manifest["chapters"]
    )
    assert len(manifest["figures"]) == shown > 30


def test_page_says_what_changed_since_the_release(html: Path) -> None:
    words = " ".join(text_of(html / "book" / "made.html").split())
    told = (
        "Compared with the run of",
        "No results of an earlier release are at hand",
        "The results at hand of an earlier release are of the run",
    )
    assert sum(sentence in words for sentence in told) == 1


def test_no_repository_no_launch_buttons(html: Path) -> None:
    for page in html.rglob("*.html"):
        assert not re.search(r"mybinder\.org|colab\.research", page.read_text(encoding="utf-8")), page


def test_run_agrees_with_itself_and_no_tolerance_is_idle(html: Path) -> None:
    rules = load_rules()
    found = compare(html.parent, html.parent, rules=rules)
    assert found.differences == []
    assert found.within == []
    assert found.same > 5 * found.ignored
    idle = {pattern for rule in rules for pattern in rule.match}
    for path in values(html.parent):
        rule = next(rule for rule in rules if any(fnmatchcase(path, pattern) for pattern in rule.match))
        idle -= {pattern for pattern in rule.match if fnmatchcase(path, pattern)}
    assert idle == set(), "no number of the smoke book is at these patterns"


def test_licences_name_packages_and_data(html: Path) -> None:
    words = " ".join(text_of(html / "book" / "licences.html").split())
    for name in (
        "torch",
        "mathjax",
        "DESI Legacy Imaging Surveys",
        "Sloan Digital Sky Survey",
        "Galaxy Zoo 2",
    ):
        assert name in words


@pytest.mark.parametrize("name", reference())
def test_reference_has_something_of_each_module(html: Path, name: str) -> None:
    page = (html / "book" / "api" / f"{name}.html").read_text(encoding="utf-8")
    for module in reference()[name].modules:
        assert re.search(rf'id="galaxylib\.{re.escape(module)}\.\w', page), f"nothing public in {module}"
    assert len(page.encode()) < 1e6
