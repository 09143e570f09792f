"""The sweep of the README, small: Snakemake trains seeds x widths and gathers their scores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from galaxylib.cli import main

pytestmark = pytest.mark.slow


OPTIONS = "--recipe quick --size 32 --epochs 1 --batch-size 8"


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
        f"options={OPTIONS}",
    ]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(folder),
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_every_seed_meets_every_width(tmp_path, blob_file):
    words = ("--dry-run", "--printshellcmds")
    planned = sweep(tmp_path, blob_file, *words, seeds="0,1,2", widths="0.05,0.1")
    assert planned.returncode == 0, planned.stderr
    jobs = planned.stdout + planned.stderr
    for seed in (0, 1, 2):
        for width in (0.05, 0.1):
            assert f"seed={seed}, width={width}" in jobs
            assert f"{OPTIONS} --seed {seed} --width {width} --resume" in jobs


def test_a_small_sweep_is_gathered_and_not_run_twice(tmp_path, blob_file):
    """Two runs, one of them there already: made in this process, which has imported all that it takes."""
    there = tmp_path / "sweep" / "seed0-width0.05"
    words = [*OPTIONS.split(), "--seed", "0", "--width", "0.05", "--quiet"]
    assert main(["train", "--data", str(blob_file), "--out", str(there), *words]) == 0
    words = ["--part", "test", "--out", str(there), "--quiet"]
    assert main(["evaluate", "--data", str(blob_file), "--checkpoint", str(there), *words]) == 0
    before = {path: path.stat().st_mtime_ns for path in there.iterdir()}
    done = sweep(tmp_path, blob_file, seeds="0,1", widths="0.05")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in there.iterdir()} == before
    made = json.loads((tmp_path / "sweep" / "seed1-width0.05" / "checkpoint.json").read_text())
    assert (made["recipe"]["seed"], made["recipe"]["width"]) == (1, 0.05)
    table = pd.read_csv(tmp_path / "sweep" / "sweep.csv")
    assert list(table) == ["seed", "width", "n", "accuracy", "macro_f1", "weighted_f1"]
    assert sorted(zip(table["seed"], table["width"], strict=True)) == [(0, 0.05), (1, 0.05)]
    for seed, accuracy in zip(table["seed"], table["accuracy"], strict=True):
        scores = json.loads((tmp_path / "sweep" / f"seed{seed}-width0.05" / "evaluation.json").read_text())
        assert accuracy == pytest.approx(scores["accuracy"])
    again = sweep(tmp_path, blob_file, seeds="0,1", widths="0.05")
    assert "Nothing to be done" in again.stdout + again.stderr
