"""`make book`: bring the paper up to date with Snakemake, and say what is done and why.

python -m ci.book --profile smoke --data ../galaxy10.h5
"""

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

from ci.compare import values
from ci.parameters import profile_values, run_name
from galaxylib.errors import DataError, GalaxyError, status_of
from galaxylib.files import check_outputs, hold_lock
from galaxylib.paper.progress import span
from galaxylib.provenance import machine, processor, threads
from galaxylib.votes.zoo2 import SOLUTIONS, read_solutions

BUILD = Path("_build")
MEASURED = Path("benchmarks/results/book.json")
COPIED = ".copied-by-make-book"  # marks a copy of the pages, where the system makes no links
# Less than this and no run ends well; the default profile's own needs are the larger part of it.
NEEDED = 3e9  # bytes


def check_files(*paths: str) -> None:
    """Refuse a path that is no file before any chapter runs.

    Raises:
        DataError: one sentence.
    """
    for path in paths:
        if not Path(path).is_file():
            raise DataError(
                f"There is no file {path}: give the path of a Galaxy10 HDF5 file, or leave it out."
            )


def check_space(folder: Path, *, needed: float = NEEDED) -> None:
    """Refuse to start on a disk that would fill up on the way.

    Raises:
        GalaxyError: one sentence with what is free and what is needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise GalaxyError(
            f"The disk that holds {folder} has {free / 1e9:.1f} GB free and the book needs "
            f"{needed / 1e9:.1f} GB: free some and run again; what was finished before is kept."
        )


def snakemake(
    settings: dict[str, str],
    *options: str,
    folder: Path = Path(),
    lock: IO[str] | None = None,
    hear: bool = False,
) -> str:
    """Start Snakemake on the paper's graph.

    Args:
        settings: the Snakefile's configuration: profile, data, real_sample, votes, repository,
            against.
        options: further options of Snakemake.
        folder: where the Snakefile is.
        lock: handed down, so that it lasts until Snakemake has ended even if this process is killed.
        hear: return what it prints instead of showing it.

    Raises:
        GalaxyError: a step failed, or the graph itself is wrong.
    """
    cores = f"{threads() or 'all'}"  # a shared machine may grant fewer than it has
    command = [sys.executable, "-m", "snakemake", "--cores", cores, "--nolock", "--rerun-incomplete"]
    # The configuration takes all words up to the next option, so it goes before one.
    command += ["--config", *(f"{name}={value}" for name, value in settings.items()), *options]
    # Ctrl-C reaches Snakemake too, which then cleans up: wait for that instead of killing it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.PIPE if hear else None,
            stderr=subprocess.STDOUT if hear else None,
            pass_fds=[lock.fileno()] if lock and os.name == "posix" else [],
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    if done.returncode and hear:
        raise GalaxyError(f"Snakemake cannot read the graph:\n{done.stdout}")
    if done.returncode:
        raise GalaxyError("The book is not finished; the next `make book` goes on at the step that stopped.")
    return done.stdout or ""


def changed_outside(results: Path) -> list[str]:
    """List chapters whose numbers are newer than their pages: run by hand, with parameters of their own."""
    chapters = []
    for notebook in sorted(results.glob("notebooks/[0-9][0-9]_*.ipynb")):
        numbers = results / f"{notebook.stem}.json"
        if numbers.exists() and numbers.stat().st_mtime > notebook.stat().st_mtime:
            chapters.append(notebook.stem)
    return chapters


def planned(text: str) -> dict[str, str]:
    """Read Snakemake's dry run: step -> reason, in the order of the chapters."""
    steps = dict(re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    reason: (.*)$", text, re.MULTILINE))
    steps.pop("book", None)
    return {step: brief(reason) for step, reason in sorted(steps.items())}


def brief(reason: str) -> str:
    """Shorten Snakemake's reason to what a reader asks: made before or not, and what changed."""
    parts = []
    for part in reason.split("; "):
        cause, _, files = part.partition(": ")
        stems = ", ".join(sorted({Path(file).stem for file in files.split(", ")}))
        if cause == "Missing output files":
            return "not made yet"
        parts.append(f"follows {stems}" if cause == "Input files updated by another job" else part)
    return "; ".join(parts)


def check_link(link: Path) -> None:
    """Refuse to begin where the link to the pages would take the place of something else.

    Raises:
        GalaxyError: one sentence.
    """
    if link.exists() and not link.is_symlink() and not (link / COPIED).is_file():
        raise GalaxyError(f"{link} was not made by `make book`: move it elsewhere and run again.")


def point_to(html: Path, link: Path) -> None:
    """Let `_build/html` show this run's pages: a link, or a copy where the system makes no links."""
    if link.is_symlink() or not link.exists():
        link.unlink(missing_ok=True)
    elif (link / COPIED).is_file():
        shutil.rmtree(link)
    try:
        link.symlink_to(os.path.relpath(html, link.parent), target_is_directory=True)
    except OSError:
        shutil.copytree(html, link)
        (link / COPIED).touch()


def say(text: str) -> None:
    """Print to the terminal at once, beside the progress bars."""
    print(text, file=sys.stderr, flush=True)


def seconds_by_step(results: Path) -> dict[str, float]:
    """How long each step of a run took when it was last made, in the order of the steps.

    Snakemake measures it; its processor times are left alone, for it takes them only every 30 seconds.

    Args:
        results: the run's folder.
    """
    found = {}
    for table in sorted(results.glob("times/*.tsv")):
        with table.open(encoding="utf-8") as lines:
            found[table.stem] = float(next(csv.DictReader(lines, delimiter="\t"))["s"])
    return found


def machine_name(*, avx2: bool) -> str:
    """What `benchmarks/results/book.json` calls this machine.

    Args:
        avx2: whether it is held to AVX2, so as to stand for an older one.
    """
    here = machine()
    return f"{here['processor']}, {here['cores']} cores" + (", held to AVX2" if avx2 else "")


def measured_before(results: Path, profile: str) -> tuple[dict[str, float], str]:
    """Seconds a step, and where they were measured: here the last time, and for the rest on another machine.

    Of the other machines, one of this name comes first, then one with this processor, then the one of which
    most steps are known.

    Args:
        results: the run's folder.
        profile: of the run.
    """
    here = seconds_by_step(results)
    table: dict[str, dict[str, float]] = {}
    if MEASURED.exists():  # the benchmarks may not have come along
        for run in json.loads(MEASURED.read_text(encoding="utf-8"))["runs"]:
            table[run["machine"]] = run.get("profiles", {}).get(profile, {}).get("steps", {})
    name = machine_name(avx2=os.environ.get("ATEN_CPU_CAPABILITY") == "avx2")
    there = max(
        (row for row, steps in table.items() if steps),
        key=lambda row: (row == name, row.startswith(processor()), len(table[row])),
        default="",
    )
    elsewhere = table.get(there, {})
    if here:
        rest = elsewhere.keys() - here.keys()
        return elsewhere | here, "as the last time" + (f", and for the rest as on {there}" if rest else "")
    return elsewhere, f"as on {there}" if there else ""


def estimate(steps: Collection[str], seconds: Mapping[str, float]) -> float:
    """The seconds that some steps take together, where two chapters run side by side; 0 where none is known.

    Args:
        steps: names.
        seconds: of each step that was measured.
    """
    known = {name: seconds[name] for name in steps if name in seconds}
    alone = sum(known.pop(name, 0.0) for name in ("01_data", "html"))
    return alone + max(sum(known.values()) / 2, max(known.values(), default=0.0))


def table_of_times(seconds: Mapping[str, float]) -> str:
    """Steps and their seconds, a line each."""
    width = max(map(len, seconds), default=0)
    return "\n".join(f"  {name:{width}} {took:6.0f} s" for name, took in seconds.items())


def plan(settings: dict[str, str], again: list[str]) -> dict[str, str]:
    """Say which steps would run and why, and return them.

    Args:
        settings: the Snakefile's configuration.
        again: chapters to run whatever Snakemake thinks of them.
    """
    forced = ["--forcerun", *again] if again else []
    steps = planned(snakemake(settings, "--dry-run", *forced, hear=True))
    steps |= dict.fromkeys(again, "its results were changed by a run outside `make book`")
    for step, reason in steps.items():
        say(f"  {step}: {reason}")
    return steps


def build(settings: dict[str, str]) -> None:
    """Bring one run up to date.

    Raises:
        GalaxyError: one sentence on what stopped it.
    """
    started = time.monotonic()
    results = folder_of(settings)
    check_outputs(BUILD / "lock")
    check_link(BUILD / "html")
    with hold_lock(BUILD / "lock") as lock:
        again = changed_outside(results)
        steps = plan(settings, again)
        if steps:
            check_space(BUILD)
            before, where = measured_before(results, settings["profile"])
            if expected := estimate(steps, before):
                say(f"About {span(expected)}, {where}.")
            snakemake(settings, "--quiet", "all", *(["--forcerun", *again] if again else []), lock=lock)
        point_to(results / "html", BUILD / "html")
    if made := {name: took for name, took in seconds_by_step(results).items() if name in steps}:
        say(table_of_times(made))
    done = f"{len(steps)} steps in {time.monotonic() - started:.0f} s" if steps else "nothing to do"
    say(f"{BUILD / 'html' / 'index.html'} is up to date: {done}.")


def folder_of(settings: dict[str, str]) -> Path:
    """Name the folder of a run's results."""
    return BUILD / "results" / run_name(settings["profile"], settings.get("data", "simulated"))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.book", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="default", help="of ci/profiles.yml (%(default)s)")
    parser.add_argument(
        "--data",
        type=os.path.expanduser,
        default="simulated",
        help="simulated, or the path of a Galaxy10 HDF5 file",
    )
    parser.add_argument(
        "--real-sample",
        type=os.path.expanduser,
        default="",
        help="real images to evaluate the trained network on",
    )
    parser.add_argument(
        "--votes",
        type=os.path.expanduser,
        default="",
        help="folder of the Galaxy Zoo challenge, for the chapter on votes",
    )
    parser.add_argument("--repository", default="", help="its address on the web, for launch buttons")
    parser.add_argument(
        "--against",
        type=os.path.expanduser,
        default="",
        help="folder of a finished run, which a page compares this one with",
    )
    parser.add_argument("--why", action="store_true", help="say what would run and why, and run nothing")
    options = parser.parse_args(arguments)
    settings = {"profile": options.profile}
    settings |= {"data": options.data} if options.data not in ("", "simulated") else {}
    settings |= {"real_sample": options.real_sample} if options.real_sample else {}
    settings |= {"votes": options.votes} if options.votes not in ("", "simulated") else {}
    settings |= {"repository": options.repository} if options.repository else {}
    settings |= {"against": options.against} if options.against else {}
    return status_of(
        lambda: _run(settings, why=options.why),
        say=say,
        interrupted="\nInterrupted; the next `make book` goes on at the step that was cut.",
    )


def _run(settings: dict[str, str], *, why: bool) -> None:
    profile_values(settings["profile"], "", takes={})  # refuses a profile that does not exist
    check_files(*(settings[name] for name in ("data", "real_sample") if name in settings))
    if "votes" in settings:
        read_solutions(Path(settings["votes"], SOLUTIONS))  # refuses another folder before any chapter runs
    if "against" in settings:
        values(Path(settings["against"]))  # refuses a folder without results before any chapter runs
    if why:
        steps = plan(settings, changed_outside(folder_of(settings)))
        say(f"{len(steps)} steps would run." if steps else "Nothing would run.")
    else:
        build(settings)


if __name__ == "__main__":
    sys.exit(main())
