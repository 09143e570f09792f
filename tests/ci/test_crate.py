"""The research object beside the pages: it reads back, names what is there, and agrees with the manifest."""

import json
import re
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from ci.crate import write_crate
from galaxylib.files import sha256

CHAPTERS = ("01_data", "02_y")
MACHINE = {"processor": "Some CPU", "cores": 2, "threads": 2, "gpus": [], "system": "Linux"}


@pytest.fixture
def manifest() -> dict:
    entry = {"seconds": 90.5, "machine": MACHINE, "started": "2026-11-20T10:00:00+00:00"}
    return {
        "run": "smoke",
        "made": "2026-11-20T12:00:00+00:00",
        "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        "data": {
            "kind": "real",
            "galaxies": 40,
            "fingerprint": "abc",
            "files": {"/home/somebody/galaxies.h5": "f" * 64},
        },
        "chapters": {
            "01_data": entry | {"commit": "a" * 40},
            "02_y": entry | {"commit": None, "machine": None},
        },
    }


@pytest.fixture
def html(tmp_path: Path, manifest: dict) -> Path:
    html = tmp_path / "html"
    (html / "book").mkdir(parents=True)
    (html / "_sources" / "book").mkdir(parents=True)
    (html / "index.html").write_text("first")
    (html / "manifest.json").write_text(json.dumps(manifest))
    for chapter in CHAPTERS:
        (html / "book" / f"{chapter}.html").write_text(f"<title>The {chapter} \u2014 Book</title>")
        (html / "_sources" / "book" / f"{chapter}.ipynb").write_text("{}")
        (tmp_path / f"{chapter}.json").write_text(json.dumps({"n": chapter}))
    write_crate(html, tmp_path, manifest, repository="https://a.org/owner/name")
    return html


def test_crate_reads_back_and_names_what_is_there(html: Path) -> None:
    crate = ROCrate(html)
    files = [entity.id for entity in crate.data_entities]
    assert len(files) == 2 + 3 * len(CHAPTERS)
    for entity in crate.data_entities:
        assert sha256(html / entity.id) == entity["sha256"]
        assert entity["contentSize"] == f"{(html / entity.id).stat().st_size}"
        assert entity["license"]
    assert "notebook" in crate.get("_sources/book/01_data.ipynb")["name"]
    assert crate.get("book/01_data.html")["name"] == "The 01_data, the page"
    assert crate.root_dataset["author"][0]["name"] == "The DMAGNet executable paper contributors"
    assert {licence.id for licence in crate.root_dataset["license"]} == {
        "https://creativecommons.org/licenses/by/4.0/",
        "https://spdx.org/licenses/BSD-3-Clause",
    }
    assert crate.root_dataset["citation"]["author"][0]["name"] == "Giovanni Chessa"
    assert crate.root_dataset["datePublished"].startswith("2026-11-20T12:00:00")


def test_run_of_each_chapter_has_instrument_commit_and_dates(html: Path) -> None:
    crate = ROCrate(html)
    first, second = (crate.get(f"#run-{chapter}") for chapter in CHAPTERS)
    assert first["@type"] == "CreateAction"
    assert (first["startTime"], first["endTime"]) == (
        "2026-11-20T10:00:00+00:00",
        "2026-11-20T10:01:30.500000+00:00",
    )
    assert first["instrument"]["version"] == "a" * 40
    assert first["instrument"]["codeRepository"] == "https://a.org/owner/name"
    assert {one["name"]: one["softwareVersion"] for one in first["instrument"]["softwareRequirements"]} == {
        "torch": "2.13.0",
        "numpy": "2.4.6",
    }
    assert [one.id for one in first["result"]] == [
        "_sources/book/01_data.ipynb",
        "book/01_data.html",
        "results/01_data.json",
    ]
    assert first["object"][0]["identifier"] == "fingerprint abc"
    assert "galaxies.h5, SHA-256 ffff" in first["object"][0]["description"]
    assert first["description"] == "On 2 cores of Some CPU (2 threads), no GPU."
    assert second["instrument"]["version"] == "outside a git repository"
    assert second["instrument"] != first["instrument"]


def test_crate_has_no_absolute_path_and_no_dangling_name(html: Path) -> None:
    text = (html / "ro-crate-metadata.json").read_text(encoding="utf-8")
    assert "/home/somebody" not in text
    assert not re.findall(r'"(?:/|file:|[A-Za-z]:\\\\)[^"]*"', text)
    graph = json.loads(text)["@graph"]
    known = {entity["@id"] for entity in graph}
    named = set(re.findall(r'\{"@id": "([^"]+)"\}', re.sub(r"\s+", " ", json.dumps(graph))))
    beyond = {
        name for name in named - known if not name.startswith(("http://schema.org/", "https://w3id.org/"))
    }
    assert beyond == set()
    assert len(known) == len(graph)


def test_dirty_commit_is_another_instrument(tmp_path: Path, html: Path, manifest: dict) -> None:
    manifest["chapters"]["02_y"]["commit"] = "a" * 40 + "+changes"
    write_crate(html, tmp_path, manifest)
    crate = ROCrate(html)
    instruments = [crate.get(f"#run-{chapter}")["instrument"] for chapter in CHAPTERS]
    assert [one["version"] for one in instruments] == ["a" * 40, "a" * 40 + "+changes"]
    assert instruments[0].get("codeRepository") is None
