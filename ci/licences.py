"""The licences of everything that the book is made with, read from the packages themselves."""

import json
import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNKNOWN = "not stated"
# Words by which a licence's text is known, for packages that state it nowhere else.
TEXTS = {
    "Permission is hereby granted, free of charge": "MIT",
    "Apache License": "Apache-2.0",
    "Neither the name of": "BSD-3-Clause",
    "Redistribution and use in source and binary forms": "BSD-2-Clause",
}


def python_packages() -> list[tuple[str, str, str]]:
    """List the locked packages that are installed: name, version and licence, in the lock's order."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    names = [match[1] for line in lines if (match := re.match(r"([\w.-]+)(?:\[[^]]*\])?==", line))]
    rows = []
    for name in dict.fromkeys(names):
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # locked for another system
        rows.append((name, package.version, licence(package)))
    return rows


def licence(package: metadata.Distribution) -> str:
    """Name the licence of an installed package.

    Its own expression counts first, then a short note, its classifiers, the text of its licence.
    """
    told = package.metadata
    expression = told.get("License-Expression")
    note = told.get("License") or ""
    if expression or (note and "\n" not in note and len(note) <= 40 and note != "UNKNOWN"):
        return expression or note
    classifiers = [
        entry.split(" :: ")[-1] for entry in told.get_all("Classifier", []) if entry.startswith("License")
    ]
    named = [entry for entry in classifiers if entry != "OSI Approved"]
    if named:
        return " or ".join(named)
    files = [file.locate() for file in package.files or [] if re.match(r"(?i)licen[sc]e|copying", file.name)]
    texts = [
        note,
        *(Path(file).read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()),
    ]
    known = (name for text in texts for words, name in TEXTS.items() if words in " ".join(text.split()))
    return next(known, UNKNOWN)


def npm_packages() -> list[tuple[str, str, str]]:
    """List the packages that npm fetches for the pages: name, version and licence, as its lock has them."""
    lock = json.loads((ROOT / "ci" / "npm" / "package-lock.json").read_text(encoding="utf-8"))
    rows = {
        (name.rpartition("node_modules/")[2], entry["version"], entry.get("license", UNKNOWN))
        for name, entry in lock["packages"].items()
        if name
    }
    return sorted(rows)


def wanted() -> set[str]:
    """Name the packages that the project asks for itself, of Python and of npm."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]
    python = {re.match(r"[\w.-]+", entry)[0].lower() for entry in asked} - {"galaxylib"}
    package = json.loads((ROOT / "ci" / "npm" / "package.json").read_text(encoding="utf-8"))
    return python | set(package["dependencies"])


def tables() -> str:
    """Write the lists as tables in MyST Markdown: what the project asks for, and, folded, what that needs."""
    asked = wanted()
    parts = []
    for title, rows in (("Python", python_packages()), ("JavaScript", npm_packages())):
        direct = [row for row in rows if row[0].lower() in asked]
        others = [row for row in rows if row not in direct]
        parts += [f"### {title}", _table(direct)]
        parts += [f":::{{dropdown}} And {len(others)} packages that these need", _table(others), ":::"]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[tuple[str, str, str]]) -> str:
    head = ["| package | version | licence |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])
