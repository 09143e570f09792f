"""How long `make book` takes, step by step, on this machine or as one without bfloat16.

    python -m benchmarks.book --profile smoke default
    python -m benchmarks.book --profile smoke default --avx2

Each profile is built from nothing in a clone of the checkout; the set-up is left out, for the downloads
decide it. Snakemake measures the seconds of every step. `--avx2` keeps torch, oneDNN and NumPy to the
instructions that an ordinary laptop has. The run takes the place of an earlier one of the same machine in
benchmarks/results/book.json, from which `make book` foretells how long a step will take that it never made.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machines import AVX2, add_avx2
from ci.book import machine_name, seconds_by_step
from galaxylib.provenance import commit

RESULT = Path("benchmarks/results/book.json")


def build(profile: str, variables: dict[str, str]) -> dict[str, Any]:
    """Build one profile from nothing: seconds in all, and those of each step."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", str(Path.cwd()), folder], check=True)
        began = time.monotonic()
        command = [sys.executable, "-m", "ci.book", "--profile", profile]
        subprocess.run(command, cwd=folder, env=os.environ | variables | {"PYTHONPATH": folder}, check=True)
        whole = time.monotonic() - began
        results = Path(folder, "_build/results", profile)
        steps = {name: round(took) for name, took in seconds_by_step(results).items()}
    return {"commit": commit(), "seconds": round(whole), "steps": steps}


def main() -> None:
    """Measure, print, and put the run into the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", nargs="+", default=["smoke", "default"], help="of ci/profiles.yml")
    add_avx2(parser)
    options = parser.parse_args()
    name = machine_name(avx2=options.avx2)
    runs = json.loads(RESULT.read_text(encoding="utf-8"))["runs"] if RESULT.exists() else []
    former = next((run["profiles"] for run in runs if run["machine"] == name), {})
    profiles = {profile: build(profile, AVX2 if options.avx2 else {}) for profile in options.profile}
    runs = [run for run in runs if run["machine"] != name]
    runs.append({"machine": name, "profiles": former | profiles})
    what = "seconds of `make book`, set-up apart, and of each step; two chapters run side by side"
    RESULT.write_text(json.dumps({"what": what, "runs": runs}, indent=1) + "\n", encoding="utf-8")
    for profile, made in profiles.items():
        print(f"{name}: {profile} {made['seconds']} s", made["steps"])


if __name__ == "__main__":
    main()
