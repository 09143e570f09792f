"""`make verify`: compute a run once more elsewhere, compare every number with the first, print what differs.

python -m ci.verify --profile smoke                     the run in _build/results/smoke, computed again
python -m ci.verify --profile smoke --against FOLDER    the same, beside a run that came from elsewhere
python -m ci.verify --folders FOLDER FOLDER             two finished runs, computing nothing

With `--out FILE` the counts are kept; those of the default run, in `benchmarks/results/verify.json`, stand on
the page "How these pages were made".
"""

import argparse
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ci.book import BUILD, check_files, check_space, say, snakemake
from ci.compare import compare, load_rules
from ci.manifest import MANIFEST, read
from ci.parameters import profile_values, run_name
from galaxylib.errors import status_of
from galaxylib.files import check_outputs, hold_lock, saving, write_json

ROOT = Path(__file__).resolve().parents[1]
PLACE = BUILD / "verify"
LISTED = 100  # differences that are printed; the rest is counted
# What a copy of the project does without: what was built, installed or fetched, and the history.
LEFT_OUT = shutil.ignore_patterns(
    *(
        ".git",
        ".venv",
        "_build",
        ".snakemake",
        "__pycache__",
        ".*_cache",
        "node_modules",
        "*.egg-info",
        "*.h5",
    )
)


def compute(settings: dict[str, str], place: Path) -> Path:
    """Compute a run from nothing in a copy of the project: its galaxies, trainings and dreams, but no pages.

    Args:
        settings: the Snakefile's configuration; paths in it are absolute.
        place: folder of the copy, made anew.

    Returns:
        the folder of the run's results.

    Raises:
        GalaxyError: the disk is full, or a chapter stopped.
    """
    with saving(place):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(Path.cwd(), place, ignore=LEFT_OUT)
    snakemake(settings, "--quiet", "all", "--until", "manifest", folder=place)
    return place / BUILD / "results" / run_name(settings["profile"], settings.get("data", "simulated"))


def files_given(manifest: dict[str, Any], data: str) -> dict[str, str]:
    """Find the files that a run is about: galaxies as given now, real ones as the first run scored them.

    Args:
        manifest: that of the first run.
        data: "simulated", or the path of a Galaxy10 HDF5 file.

    Returns:
        the Snakefile's data, real_sample and votes, absolute, each only where there is one.

    Raises:
        DataError: a file is not there.
    """
    parameters = [entry["parameters"] for entry in manifest.get("chapters", {}).values()]
    sample = next((values["real_sample"] for values in parameters if values.get("real_sample")), "")
    files = {"data": "" if data == "simulated" else data, "real_sample": sample}
    check_files(*filter(None, files.values()))
    votes = next((values["votes"] for values in parameters if "votes" in values), "simulated")
    files["votes"] = "" if votes == "simulated" else votes
    return {name: str(Path(path).resolve()) for name, path in files.items() if path}


def report(first: Path, second: Path, *, out: Path | None = None) -> bool:
    """Print how two runs compare.

    Args:
        first: folder of one run's results.
        second: the other run's folder.
        out: a file that keeps the counts, and which runs they are of.

    Returns:
        whether all is within the tolerances.

    Raises:
        GalaxyError: a folder holds no results.
    """
    manifests = [read(run) if (run / MANIFEST).is_file() else {} for run in (first, second)]
    for line in circumstances(*manifests):
        say(line)
    found = compare(first, second, rules=load_rules())
    if out is not None:
        write_json(
            out,
            {
                "what": "values of two runs of the same chapters, compared one by one",
                "same": found.same,
                "within": len(found.within),
                "ignored": found.ignored,
                "beyond": len(found.differences),
                "runs": [
                    {name: one.get(name) for name in ("run", "made", "commit", "machine")}
                    for one in manifests
                ],
            },
        )
    for difference in found.differences[:LISTED]:
        say(f"  {difference}")
    if len(found.differences) > LISTED:
        say(f"  ... and {len(found.differences) - LISTED:,} more")
    by_chapter = Counter(difference.path.split("/")[0] for difference in found.differences)
    say(
        f"{found.same:,} values are the same to the last bit, {len(found.within):,} differ within "
        f"the tolerances of ci/tolerances.yml, {found.ignored:,} are times and the like, "
        f"and {len(found.differences):,} differ beyond"
        + (f": {', '.join(f'{chapter} {n:,}' for chapter, n in by_chapter.items())}." if by_chapter else ".")
    )
    return not found.differences


def circumstances(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Say in what two runs differ before any number does: sources, locks, data, versions, machine.

    Args:
        first: a manifest, or nothing where a run has none.
        second: that of the other run.
    """
    lines = []
    for name in ("commit", "locks", "packages", "data", "machine"):
        one, other = first.get(name), second.get(name)
        if one and other and one != other:
            keys = [key for key in one if one[key] != other.get(key)] if isinstance(one, dict) else []
            told = (
                "; ".join(f"{key}: {one[key]} and {other.get(key)}" for key in keys) or f"{one} and {other}"
            )
            lines.append(f"  not the same {name}: {told}")
    chapters = second.get("chapters", {})
    changed = [
        stem
        for stem, entry in first.get("chapters", {}).items()
        if stem in chapters and entry["source"] != chapters[stem]["source"]
    ]
    return lines + ([f"  chapters with another source: {', '.join(changed)}"] if changed else [])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 where all agrees, else 1."""
    parser = argparse.ArgumentParser(prog="python -m ci.verify", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="default", help="of ci/profiles.yml (%(default)s)")
    parser.add_argument(
        "--data", type=os.path.expanduser, default="simulated", help="as the first run was given it"
    )
    parser.add_argument("--against", type=Path, help="the first run's folder (_build/results/<run>)")
    parser.add_argument(
        "--folders", type=Path, nargs=2, help="compare two finished runs, and compute nothing"
    )
    parser.add_argument("--out", type=Path, help="a file that keeps the counts")
    options = parser.parse_args(arguments)
    return status_of(lambda: _run(options), say=say, interrupted="\nInterrupted.")


def _run(options: argparse.Namespace) -> int:
    if options.folders:
        return 0 if report(*options.folders, out=options.out) else 1
    profile_values(options.profile, "", takes={})  # refuses a profile that does not exist
    first = options.against or BUILD / "results" / run_name(options.profile, options.data)
    # Reading refuses a folder without a run, before an hour goes by.
    settings = {"profile": options.profile} | files_given(read(first), options.data)
    check_outputs(PLACE.with_name("verify.lock"))
    with hold_lock(PLACE.with_name("verify.lock")):
        check_space(BUILD)
        say(f"Computing the {options.profile} run again in {PLACE}.")
        second = compute(settings, PLACE)
        same = report(first, second, out=options.out)
    say("Verified." if same else "Not verified: the two runs disagree.")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
