"""The survey of the README, small: Snakemake makes three shards by two workers, and one of them is killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, write_galaxy10

from galaxylib import cli

pq = pytest.importorskip("pyarrow.parquet")
from pyarrow import dataset  # noqa: E402

from galaxylib.catalogue.shards import MANIFEST, Shard  # noqa: E402

pytestmark = pytest.mark.slow

SHARDS, EACH = 3, 12
OPTIONS = "--checkpoint small --precision float32 --batch-size 1 --save-every 1"
KILLED = Shard(2, SHARDS)


def test_a_killed_shard_is_made_again_alone(tmp_path):
    galaxies = write_galaxy10(tmp_path / "some.h5", labels=np.arange(SHARDS * EACH) % 10, seed=3)
    survey = tmp_path / "my survey"
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "ci" / "classify.smk"), "--cores", "2"]
    command += ["--directory", str(tmp_path), "--config", f"inputs={galaxies}", f"out={survey}"]
    command += [f"shards={SHARDS}", f"options={OPTIONS}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment |= {"XDG_CACHE_HOME": str(tmp_path)}
    with (tmp_path / "log").open("w+") as log:
        with subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
            parts = survey / f"{KILLED.file}.parts"
            while len([*parts.glob("*.parquet")]) < 2:
                assert process.poll() is None
                time.sleep(0.002)
            os.kill(int((parts / "lock").read_text()), signal.SIGKILL)
        log.seek(0)
        said = log.read()
    assert process.returncode == 0, said
    assert said.count("Trying to restart job") == 1
    assert said.count("rule shard:\n    input:") == SHARDS + 1
    names = [Shard(number, SHARDS).file for number in range(1, SHARDS + 1)]
    assert sorted(path.name for path in survey.iterdir()) == sorted([MANIFEST, *names])
    one = tmp_path / "one.parquet"
    assert cli.main(["classify", str(galaxies), "--out", str(one), *OPTIONS.split(), "--quiet"]) == 0
    assert dataset.dataset(survey).to_table().equals(pq.read_table(one).replace_schema_metadata())
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "Nothing to be done" in again.stdout + again.stderr
