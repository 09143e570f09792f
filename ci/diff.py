"""`make diff AGAINST=folder`: what changed between two finished runs, number by number and figure by figure.

python -m ci.diff --profile smoke --against FOLDER    FOLDER's run, then the one in _build/results/smoke
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.book import BUILD, say
from ci.compare import MISSING, Difference, Outcome, compare, load_rules
from ci.figures import change
from ci.manifest import MANIFEST, read
from ci.parameters import profile_values, run_name
from ci.verify import circumstances
from galaxylib.errors import GalaxyError, status_of

ROOT = Path(__file__).resolve().parents[1]
RELEASE = ROOT / "benchmarks" / "results" / "release"
"""Where the last release keeps its results: the chapters' JSON files and the manifest of one run."""
SHOWN = 30  # changes that the page lists; `make diff` prints all


@dataclass(frozen=True)
class Changes:
    """What changed from one run to another.

    Attributes:
        before: manifest of the first run, empty where it has none.
        now: that of the second.
        numbers: what the comparison of their numbers found.
        figures: figure -> what became of it; those that did not change are left out.
        same_figures: how many did not change; None where a run kept no prints of its figures.
    """

    before: Mapping[str, Any]
    now: Mapping[str, Any]
    numbers: Outcome
    figures: Mapping[str, str]
    same_figures: int | None


def changes(before: Path, now: Path) -> Changes:
    """Compare two finished runs.

    Args:
        before: folder of the first run's results.
        now: that of the second.

    Raises:
        GalaxyError: a folder holds no results, or damaged ones.
    """
    numbers = compare(before, now, rules=load_rules())
    manifests = [read(folder) if (folder / MANIFEST).is_file() else {} for folder in (before, now)]
    prints = [manifest.get("figures") for manifest in manifests]
    if None in prints:
        return Changes(*manifests, numbers, {}, None)
    told = {
        name: _figure(*(part.get(name) for part in prints))
        for name in dict.fromkeys([*prints[0], *prints[1]])
    }
    changed = {name: words for name, words in told.items() if words}
    return Changes(*manifests, numbers, changed, len(told) - len(changed))


def _figure(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """Say what became of a figure; nothing where it is the same to the last pixel."""
    if before is None or now is None:
        return "new" if before is None else "gone"
    if before["pixels"] == now["pixels"]:
        return ""
    sizes = [" x ".join(map(str, one["size"])) for one in (before, now)]
    resized = f", {sizes[0]} pixels became {sizes[1]}" if sizes[0] != sizes[1] else ""
    return f"changed by {change(before, now):.2%} of the range from black to white{resized}"


def lines(found: Changes) -> list[str]:
    """The changes in full, for a terminal: circumstances, numbers, figures, and their counts at the end."""
    told = circumstances(found.before, found.now)
    told += [f"  {_step(one)}" for one in [*found.numbers.differences, *found.numbers.within]]
    told += [f"  {name}: {words}" for name, words in found.figures.items()]
    return [*told, counts(found)]


def counts(found: Changes) -> str:
    """One sentence or two with how much changed."""
    numbers = found.numbers
    text = (
        f"{numbers.same:,} values are the same, {len(numbers.within):,} changed within the tolerances of "
        f"ci/tolerances.yml, {len(numbers.differences):,} changed beyond, "
        f"and {numbers.ignored:,} are times and the like."
    )
    if found.same_figures is None:
        return f"{text} One of the two runs kept no prints of its figures, so these were not compared."
    same, changed = found.same_figures, len(found.figures)
    return f"{text} {same:,} figures are the same to the last pixel, {changed:,} are not."


def _step(one: Difference) -> str:
    """Say what became of a number."""
    before, now = _values(one)
    if one.first is MISSING or one.second is MISSING:
        return f"{one.path}: new, {now}" if one.first is MISSING else f"{one.path}: gone, was {before}"
    by = f" ({one.second - one.first:+.3g})" if _is_number(one.first) and _is_number(one.second) else ""
    return f"{one.path}: {before} became {now}{by}; {one.why}"


def _values(one: Difference) -> tuple[str, str]:
    """Both values in six digits, or in all where six do not tell them apart."""
    numbers = _is_number(one.first) and _is_number(one.second)
    short = tuple(f"{value:.6g}" if numbers else "" for value in (one.first, one.second))
    return short if short[0] != short[1] else one.brief()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def section(results: Path, release: Path) -> str:
    """Tell on the page "How these pages were made" what changed since the last release, in MyST Markdown.

    Args:
        results: folder of the run that the pages show.
        release: folder with the results of the release's run; it need not be there.

    Raises:
        GalaxyError: a folder holds no results, or damaged ones.
    """
    if not release.is_dir():
        return "No results of an earlier release are at hand, so nothing is compared here.\n"
    found = changes(release, results)
    if not found.before:
        return "The results at hand of an earlier run have no manifest, so nothing is compared here.\n"
    runs = [manifest.get("run") for manifest in (found.before, found.now)]
    if runs[0] != runs[1]:
        return f"The results at hand of an earlier release are of the run `{runs[0]}`, not of this one.\n"
    commit = (found.before.get("commit") or "unknown")[:12]
    parts = [
        f"Compared with the run of {found.before['made'][:10]} (commit `{commit}`): {counts(found)}",
        _table(found.numbers),
        *_list([f"`` {_step(one)} ``" for one in found.numbers.differences]),
        *_list([f"figure `{name}`: {words}" for name, words in found.figures.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(numbers: Outcome) -> str:
    beyond, within = (
        Counter(one.path.split("/")[0] for one in part) for part in (numbers.differences, numbers.within)
    )
    rows = [
        f"| {chapter} | {within[chapter]:,} | {beyond[chapter]:,} |" for chapter in sorted({*beyond, *within})
    ]
    head = "| chapter | changed within the tolerances | changed beyond |\n|---|---|---|\n"
    return head + "\n".join(rows) if rows else ""


def _list(items: list[str]) -> list[str]:
    more = [f"and {len(items) - SHOWN:,} more, which `make diff` lists"] if len(items) > SHOWN else []
    return ["\n".join(f"- {item}" for item in [*items[:SHOWN], *more])] if items else []


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 whatever changed, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.diff", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="default", help="of ci/profiles.yml (%(default)s)")
    parser.add_argument(
        "--data", type=os.path.expanduser, default="simulated", help="as the run was given it"
    )
    parser.add_argument("--against", default="", help="the folder of the run to compare with")
    options = parser.parse_args(arguments)
    return status_of(lambda: _run(options), say=say, interrupted="\nInterrupted.")


def _run(options: argparse.Namespace) -> None:
    profile_values(options.profile, "", takes={})  # refuses a profile that does not exist
    if not options.against:
        raise GalaxyError("There is no run to compare with: name its folder, `make diff AGAINST=folder`.")
    now = BUILD / "results" / run_name(options.profile, options.data)
    print("\n".join(lines(changes(Path(options.against).expanduser(), now))))


if __name__ == "__main__":
    sys.exit(main())
