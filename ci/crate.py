"""The built pages as a research object: `ro-crate-metadata.json`, written from the run's manifest.

An RO-Crate (https://www.researchobject.org/ro-crate/) says in one file of JSON-LD what a folder holds, whose
it is, under which licences, and how it came about. Archives and search engines read it.
"""

import re
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from rocrate.model import ContextEntity, File
from rocrate.rocrate import ROCrate

from ci.manifest import MANIFEST
from ci.rerun import hardware_words
from galaxylib.files import sha256

ROOT = Path(__file__).resolve().parents[1]
CITATION = ROOT / "CITATION.cff"
RESULTS = "results"
"""Folder of the pages with the numbers of each chapter."""
LICENCES = {
    "https://creativecommons.org/licenses/by/4.0/": "Creative Commons Attribution 4.0 (text and figures)",
    "https://spdx.org/licenses/BSD-3-Clause": "BSD 3-Clause (the code)",
}
TEXT, CODE = LICENCES


def write_crate(html: Path, results: Path, manifest: Mapping[str, Any], *, repository: str = "") -> None:
    """Describe the built pages, in place; the chapters' numbers are laid beside them.

    Nothing is fetched: the names of licences and of the format are addresses, and no more.

    Args:
        html: the folder of the pages; it gets `results/` and `ro-crate-metadata.json`.
        results: the run's folder, with the chapters' JSON files.
        manifest: of the run, as `ci.manifest.describe` returns it.
        repository: address of the repository on the web, if it has one.
    """
    (html / RESULTS).mkdir(exist_ok=True)
    for chapter in manifest["chapters"]:
        shutil.copy(results / f"{chapter}.json", html / RESULTS)
    crate = ROCrate()
    citation = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    authors = [_author(crate, entry) for entry in citation["authors"]]
    licences = {
        address: _context(crate, address, "CreativeWork", name=name) for address, name in LICENCES.items()
    }
    crate.name, crate.description = citation["title"], _description(manifest)
    crate.root_dataset["datePublished"] = manifest["made"]
    crate.root_dataset["license"] = list(licences.values())
    crate.root_dataset["author"] = authors
    crate.root_dataset["keywords"] = citation["keywords"]
    crate.root_dataset["citation"] = _paper(crate, citation["references"][0])
    galaxies = _galaxies(crate, manifest["data"])
    files = {"index.html": "The first page", MANIFEST: "Hashes, times, versions and machines of the run"}
    for name, title in files.items():
        _file(crate, html, name, name=title, license=licences[TEXT])
    numbers = {chapter: f"{RESULTS}/{chapter}.json" for chapter in manifest["chapters"]}
    for chapter, entry in manifest["chapters"].items():
        title = _title(html, chapter)
        notebook = _file(
            crate,
            html,
            f"_sources/book/{chapter}.ipynb",
            kind=["File", "SoftwareSourceCode"],
            name=f"{title}, the executed notebook",
            license=[licences[TEXT], licences[CODE]],
            programmingLanguage="Python",
        )
        page = _file(crate, html, f"book/{chapter}.html", name=f"{title}, the page", license=licences[TEXT])
        result = _file(crate, html, numbers[chapter], name=f"{title}, its numbers", license=licences[TEXT])
        software = _software(crate, manifest, entry["commit"], citation, repository, authors, licences[CODE])
        began = datetime.fromisoformat(entry["started"])
        action = {
            "name": f"The run of {title}",
            "startTime": entry["started"],
            "endTime": (began + timedelta(seconds=entry["seconds"])).isoformat(),
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        }
        if entry["machine"]:
            action["description"] = f"On {hardware_words(entry['machine'])}."
        made = crate.add_action(
            software, f"#run-{chapter}", object=[galaxies], result=[notebook, page, result], properties=action
        )
        crate.root_dataset.append_to("mentions", made)
    crate.metadata.write(html)


def _file(crate: ROCrate, html: Path, place: str, *, kind: Any = "File", **properties: Any) -> File:
    """Name a file of the pages, with its size and hash."""
    ending = {"html": "text/html", "json": "application/json", "ipynb": "application/x-ipynb+json"}
    facts = {
        "@type": kind,
        "encodingFormat": ending[place.rpartition(".")[2]],
        "contentSize": f"{(html / place).stat().st_size}",
        "sha256": sha256(html / place),
    }
    named = crate.add_file(html / place, place, properties=facts)
    for key, value in properties.items():
        named[key] = value
    return named


def _context(crate: ROCrate, name_of: str, kind: str, /, **properties: Any) -> ContextEntity:
    """Name something that is no file of the pages."""
    return crate.add(ContextEntity(crate, name_of, properties={"@type": kind, **properties}))


def _author(crate: ROCrate, entry: Mapping[str, str]) -> ContextEntity:
    """An author as CITATION.cff names them: a body by its name, a person by both of theirs."""
    names = [entry.get("name") or f"{entry['given-names']} {entry['family-names']}"]
    kind = "Organization" if "name" in entry else "Person"
    return _context(crate, entry.get("orcid") or f"#{_slug(names[0])}", kind, name=names[0])


def _paper(crate: ROCrate, reference: Mapping[str, Any]) -> ContextEntity:
    paper = _context(crate, "#the-paper", "ScholarlyArticle", name=reference["title"])
    paper["author"] = [_author(crate, entry) for entry in reference["authors"]]
    return paper


def _galaxies(crate: ROCrate, data: Mapping[str, Any]) -> ContextEntity:
    """The images that the run is about: not among the pages, and known by their content's fingerprint."""
    galaxies = _context(
        crate,
        "#galaxies",
        "Dataset",
        name=f"{data['galaxies']} {data['kind']} galaxies",
        identifier=f"fingerprint {data['fingerprint']}",
    )
    if data["files"]:
        galaxies["description"] = "; ".join(
            f"{Path(path).name}, SHA-256 {value}" for path, value in data["files"].items()
        )
    return galaxies


def _software(
    crate: ROCrate,
    manifest: Mapping[str, Any],
    commit: str | None,
    citation: Mapping[str, Any],
    repository: str,
    authors: list[ContextEntity],
    licence: ContextEntity,
) -> ContextEntity:
    """The book's code at a commit, with the packages it stood on; named once for all chapters it made."""
    head, plus, changed = (commit or "unknown").partition("+")
    identifier = f"#software-{_slug(f'{head[:12]}{plus}{changed}')}"
    if known := crate.dereference(identifier):
        return known
    software = _context(
        crate,
        identifier,
        "SoftwareSourceCode",
        name=citation["title"],
        version=commit or "outside a git repository",
        softwareVersion=f"{citation['version']}",
        programmingLanguage="Python",
        **({"codeRepository": repository} if repository else {}),
    )
    software["author"], software["license"] = authors, licence
    software["softwareRequirements"] = [
        crate.dereference(f"#{name}")
        or _context(crate, f"#{name}", "SoftwareApplication", name=name, softwareVersion=version)
        for name, version in manifest["packages"].items()
    ]
    return software


def _description(manifest: Mapping[str, Any]) -> str:
    data = manifest["data"]
    return (
        f"A book that executes the paper of DMAGNet: the run {manifest['run']!r} on {data['galaxies']} "
        f"{data['kind']} galaxies, as pages, executed notebooks and numbers."
    )


def _title(html: Path, chapter: str) -> str:
    """A chapter's name, as its page has it."""
    text = (html / "book" / f"{chapter}.html").read_text(encoding="utf-8")
    found = re.search(r"<title>\s*(.*?)\s*</title>", text, re.DOTALL)
    return found[1].partition(" — ")[0] if found else chapter


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
