"""The sweep of the README, small: Snakemake trains seeds x widths and gathers their scores."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow


def sweep(folder: Path, data: Path, *words: str, seeds: str, widths: str) -> subprocess.CompletedProcess:
    """Run `ci/sweep.smk` with tiny trainings."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "ci" / "sweep.smk"),
        "--cores",
        "1",
        *words,
    ]
    command += ["--directory", str(folder), "--config", f"data={data}", f"out={folder}/sweep"]
    command += [
        f"seeds={seeds}",
        f"widths={widths}",
        "options=--recipe quick --size 32 --epochs 1 --batch-size 8",
    ]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(folder),
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_every_seed_meets_every_width(tmp_path, blob_file):
    planned = sweep(tmp_path, blob_file, "--dry-run", seeds="0,1,2", widths="0.05,0.1")
    assert planned.returncode == 0, planned.stderr
    jobs = planned.stdout + planned.stderr
    for seed in (0, 1, 2):
        for width in (0.05, 0.1):
            assert f"seed={seed}, width={width}" in jobs


def test_a_small_sweep_is_gathered_and_not_run_twice(tmp_path, blob_file):
    done = sweep(tmp_path, blob_file, seeds="0,1", widths="0.05")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "sweep" / "sweep.csv")
    assert list(table) == ["seed", "width", "n", "accuracy", "macro_f1", "weighted_f1"]
    assert sorted(zip(table["seed"], table["width"], strict=True)) == [(0, 0.05), (1, 0.05)]
    assert table["accuracy"].between(0, 1).all()
    again = sweep(tmp_path, blob_file, seeds="0,1", widths="0.05")
    assert "Nothing to be done" in again.stdout + again.stderr
