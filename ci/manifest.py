"""The manifest of a run: what went into each chapter and what came out, by hash, with time and machine.

python -m ci.manifest _build/results/default
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from ci.figures import prints
from ci.rerun import RECORD, describe_run, duration, hardware_words
from galaxylib.errors import GalaxyError
from galaxylib.files import sha256, write_json
from galaxylib.votes.zoo2 import SOLUTIONS

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = "manifest.json"
VERIFIED = "benchmarks/results/verify.json"
LOCKS = ("requirements.lock", "ci/npm/package-lock.json")


def describe(results: Path) -> dict[str, Any]:
    """Describe a finished run.

    Args:
        results: the run's folder, with the chapters' JSON files and, in `notebooks/`, the executed chapters.

    Returns:
        as JSON has it: time, commit, versions and machine of now; SHA-256 of locks, data and weights; for
        each chapter its source, its result, its parameters, when and how long it ran, its commit and machine;
        a print of each figure.

    Raises:
        GalaxyError: a chapter has not been executed.
    """
    chapters = {path.stem: _chapter(path, results) for path in _sources()}
    return {
        "run": results.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        **describe_run(),
        "locks": {name: sha256(ROOT / name) for name in LOCKS},
        "data": _data(results, chapters),
        "weights": _weights(results),
        "chapters": chapters,
        "figures": prints(results),
    }


def read(results: Path) -> dict[str, Any]:
    """Read a run's manifest.

    Raises:
        GalaxyError: there is none, or it is damaged.
    """
    path = results / MANIFEST
    if not path.is_file():
        raise GalaxyError(f"{results} holds no {MANIFEST}: build the book there first (`make book`).")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise GalaxyError(f"{path} is damaged, no JSON: make that run again, or give another.") from fault


def _sources() -> list[Path]:
    return sorted((ROOT / "book").glob("[0-9][0-9]_*.py"))


def _chapter(source: Path, results: Path) -> dict[str, Any]:
    notebook, result = results / "notebooks" / f"{source.stem}.ipynb", results / f"{source.stem}.json"
    if not notebook.is_file() or not result.is_file():
        raise GalaxyError(f"{source.stem} has not been executed in {results}; run `make book`.")
    metadata = nbformat.read(notebook, as_version=4).metadata
    record, run = metadata["papermill"], metadata.get(RECORD, {})
    return {
        "source": sha256(source),
        "result": sha256(result),
        "parameters": dict(record["parameters"]),
        "started": record["start_time"],
        "seconds": record["duration"],
        "commit": run.get("commit"),
        "machine": run.get("machine"),
    }


def _data(results: Path, chapters: dict[str, Any]) -> dict[str, Any]:
    """Say which galaxies the run is about: the content's fingerprint, and the hash of each file given."""
    first = json.loads((results / f"{min(chapters)}.json").read_text(encoding="utf-8"))
    given = {
        f"{entry['parameters'].get(name, '')}"
        for entry in chapters.values()
        for name in ("data", "real_sample")
    }
    given |= {
        str(Path(folder, SOLUTIONS))
        for entry in chapters.values()
        if (folder := entry["parameters"].get("votes", "simulated")) != "simulated"
    }
    return {
        "kind": first.get("kind"),
        "galaxies": first.get("n_galaxies"),
        "fingerprint": first.get("fingerprint"),
        "files": {path: sha256(path) for path in sorted(given - {"", "simulated"})},
    }


def _weights(results: Path) -> dict[str, str]:
    """Hash the weights that come with the library, and those that the run trained."""
    shipped = {
        path.relative_to(ROOT): path for path in (ROOT / "galaxylib" / "weights").rglob("*.safetensors")
    }
    trained = {path.relative_to(results): path for path in results.rglob("*.safetensors")}
    return {name.as_posix(): sha256(path) for name, path in sorted((shipped | trained).items())}


PAGE = """\
# How these pages were made

The chapters of this run, `{run}`, were computed in {took} on {places}, on {galaxies} {kind} galaxies
whose content has the fingerprint `{fingerprint}`. <a href="../manifest.json">The manifest</a> has all that
follows in full, with every parameter, for programs to read; for archives,
<a href="../ro-crate-metadata.json">the RO-Crate</a> says what these pages hold, under which licences, and how
each part came about.

`make verify` computes the run once more in a folder of its own and compares every number with this one,
within tolerances that are stated with their reasons in `ci/tolerances.yml`. On one processor, with the same
number of threads, all but times and speeds comes out the same to the last bit. On another one, or on a GPU,
sums are taken in another order: the last digits differ, a training magnifies that, and what is measured on
the trained network differs as two trainings do. {verified}

## Chapters

Hashes are the first twelve digits of a SHA-256: of a chapter's source, and of the numbers that it left.

| chapter | source | result | began, UTC | took | commit |
|---|---|---|---|---|---|
{chapters}

## Versions

| package | version |
|---|---|
{packages}

## Files

| file | SHA-256, first digits |
|---|---|
{files}
"""


def page(manifest: dict[str, Any]) -> str:
    """Write the manifest as a page of the book, in MyST Markdown.

    Args:
        manifest: what `describe` returned.
    """
    chapters, data = manifest["chapters"], manifest["data"]
    machines = {json.dumps(entry["machine"]): entry["machine"] for entry in chapters.values()}
    places = [hardware_words(machine) for machine in machines.values() if machine]
    rows = [
        f"| {{doc}}`{stem}` | {_short(entry['source'])} | {_short(entry['result'])} "
        f"| {entry['started'][:16].replace('T', ' ')} | {duration(entry['seconds'])} "
        f"| {_short(entry['commit'] or 'none')} |"
        for stem, entry in chapters.items()
    ]
    hashes = manifest["locks"] | data["files"] | manifest["weights"]
    return PAGE.format(
        run=manifest["run"],
        took=duration(sum(entry["seconds"] for entry in chapters.values())),
        places="; ".join(places) or "a machine that was not recorded",
        galaxies=data["galaxies"],
        kind=data["kind"],
        fingerprint=data["fingerprint"],
        chapters="\n".join(rows),
        verified=verified(),
        packages="\n".join(f"| {name} | {version} |" for name, version in manifest["packages"].items()),
        files="\n".join(f"| `{name}` | {_short(value)} |" for name, value in hashes.items()),
    )


def verified(path: Path | None = None) -> str:
    """What came out when the default run was last computed twice, in one sentence.

    Args:
        path: the counts that `ci.verify --out` kept; by default those in the repository.
    """
    path = path or ROOT / VERIFIED
    if not path.is_file():
        return "Nobody has compared two default runs yet."
    found = json.loads(path.read_text(encoding="utf-8"))
    first = found["runs"][0]
    return (
        f"When the {first['run']} run was last computed twice, on {hardware_words(first['machine'])} "
        f"({first['made'][:10]}, commit {_short(first['commit'])}), {found['same']:,} values were the same "
        f"to the last bit, {found['within']:,} differed within tolerances and {found['beyond']:,} beyond; "
        f"{found['ignored']:,} are times and the like."
    )


def _short(value: str) -> str:
    head, plus, changes = value.partition("+")
    return f"`{head[:12]}{plus}{changes}`"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.manifest", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="the run's folder, _build/results/default")
    options = parser.parse_args(arguments)
    try:
        write_json(options.results / MANIFEST, describe(options.results))
    except GalaxyError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
