"""Shards together hold the rows of one catalogue, and a manifest says what they are."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, write_galaxy10

from galaxylib import GalaxyError, classify, cli, load
from galaxylib.catalogue.frame import Frame
from galaxylib.catalogue.page import PAGE_FILE
from galaxylib.catalogue.run import Settings

pq = pytest.importorskip("pyarrow.parquet")
from pyarrow import dataset  # noqa: E402

from galaxylib.catalogue.shards import MANIFEST, Shard, merge  # noqa: E402

SETTINGS = Settings(precision="float32", batch_size=4, save_every=4)
COUNT = 3


@pytest.fixture(scope="module")
def small():
    return load("small")


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    return write_galaxy10(tmp_path_factory.mktemp("galaxies") / "20.h5", labels=np.arange(20) % 10, seed=3)


@pytest.fixture(scope="module")
def whole(galaxies, small, tmp_path_factory):
    """The catalogue that one run makes."""
    out = tmp_path_factory.mktemp("whole") / "catalogue.parquet"
    classify(galaxies, out=out, checkpoint=small, settings=SETTINGS)
    return pq.read_table(out).replace_schema_metadata()


@pytest.fixture(scope="module")
def made(galaxies, small, tmp_path_factory):
    """A folder with three shards."""
    out = tmp_path_factory.mktemp("made") / "survey"
    for number in (3, 1, 2):
        classify(galaxies, out=out, checkpoint=small, settings=SETTINGS, shard=Shard(number, COUNT))
    return out


@pytest.fixture
def shards(made, tmp_path):
    return shutil.copytree(made, tmp_path / "survey")


def test_a_dataset_has_the_rows_of_one_catalogue(shards, whole, galaxies):
    manifest = merge(shards)
    assert dataset.dataset(shards).to_table().equals(whole)  # bit for bit
    assert json.loads((shards / MANIFEST).read_text()) == manifest
    assert (manifest["rows"], manifest["images"], manifest["unreadable"]) == (20, 20, 0)
    assert manifest["inputs"] == [str(galaxies)]
    assert len(manifest["weights_sha256"]) == 64
    # Five stretches of four images: one, two and two of them.
    assert [shard["rows"] for shard in manifest["shards"]] == [4, 8, 8]
    for shard in manifest["shards"]:
        content = (shards / shard["file"]).read_bytes()
        assert shard["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_dataset_has_the_page_of_one_catalogue(galaxies, small, shards, tmp_path, capsys):
    settings = replace(SETTINGS, frame=Frame(pixscale=0.3))
    survey, one = tmp_path / "of shards", tmp_path / "one" / PAGE_FILE
    for number in (2, 1):
        classify(galaxies, out=survey, checkpoint=small, settings=settings, shard=Shard(number, 2))
    where = {"page": one.parent, "lab": "lab.html"}
    classify(galaxies, out=tmp_path / "c.csv", checkpoint=small, settings=settings, **where)
    merged = tmp_path / "merged" / PAGE_FILE
    assert cli.main(["merge", str(survey), "--page", str(merged.parent), "--lab", "lab.html"]) == 0
    assert merged.read_bytes() == one.read_bytes()
    assert merged.read_text().count("data:image/jpeg") >= 20
    capsys.readouterr()
    assert cli.main(["merge", str(shards), "--page", str(shards / "look")]) == 1
    assert f"give a folder outside of {shards}." in capsys.readouterr().err
    assert not (shards / MANIFEST).exists()


@pytest.mark.parametrize(("parts", "count"), [(1, 1), (4, 4), (7, 3), (100, 64), (4249, 64)])
def test_every_part_is_in_one_shard_and_shards_are_alike(parts, count):
    shares = [Shard(number, count).parts(parts) for number in range(1, count + 1)]
    assert [part for share in shares for part in share] == list(range(parts))
    sizes = {len(share) for share in shares}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_a_shard_that_is_there_is_not_made_again(shards, galaxies, small, monkeypatch):
    from galaxylib.catalogue import run

    shard = Shard(2, COUNT)
    before = (shards / shard.file).stat().st_mtime_ns
    right = run.batches
    monkeypatch.setattr(run, "batches", lambda *_, **__: pytest.fail("classified again"))
    summary = classify(galaxies, out=shards, checkpoint=small, settings=SETTINGS, shard=shard)
    assert (summary.rows, summary.path) == (8, shards / shard.file)
    assert (shards / shard.file).stat().st_mtime_ns == before
    # What was made otherwise, or of other images, is.
    monkeypatch.setattr(run, "batches", right)
    then = galaxies.stat()
    os.utime(galaxies)
    classify(galaxies, out=shards, checkpoint=small, settings=SETTINGS, shard=shard)
    os.utime(galaxies, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert (shards / shard.file).stat().st_mtime_ns > before
    with pytest.raises(GalaxyError, match="differ in content: remove the one"):
        merge(shards)


def test_what_is_no_whole_dataset_is_refused(shards, galaxies, small, tmp_path):
    with pytest.raises(GalaxyError, match="holds no shard: give the folder"):
        merge(tmp_path)
    other = Shard(1, 2)
    classify(galaxies, out=shards, checkpoint=small, settings=SETTINGS, shard=other)
    with pytest.raises(GalaxyError, match="differ in shards: remove the one"):
        merge(shards)
    (shards / other.file).unlink()
    lost = shards / Shard(2, COUNT).file
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(GalaxyError, match="lacks 1 of 3 shards, shard-00002-of-00003"):
        merge(shards)
    lost.write_bytes(content[:-100])
    with pytest.raises(GalaxyError, match=r"shard-00002-of-00003\.parquet is no catalogue"):
        merge(shards)
    assert not (shards / MANIFEST).exists()


def test_shards_that_cannot_be_are_refused(galaxies, small, tmp_path, capsys):
    for text in ("5/4", "0/4", "4", "a/b", "1/", "-1/4", "1/0", "1/1000000000"):
        assert cli.main(["classify", str(galaxies), "--out", str(tmp_path / "out"), f"--shard={text}"]) == 1
        said = capsys.readouterr().err
        assert "shard" in said
        assert said.count("\n") == 1
    with pytest.raises(GalaxyError, match="8 shards are more than the 5 stretches"):
        classify(galaxies, out=tmp_path / "o", checkpoint=small, settings=SETTINGS, shard=Shard(1, 8))
    with pytest.raises(GalaxyError, match="A page shows a whole catalogue"):
        classify(galaxies, out=tmp_path / "o", checkpoint=small, page=tmp_path / "p", shard=Shard(1, 2))
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_torchrun_makes_a_shard_a_process(galaxies, whole, tmp_path, capsys):
    out = tmp_path / "survey"
    words = ["--out", out, "--checkpoint", "small", "--precision", "float32", "--batch-size", 4]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    command += ["-m", "galaxylib", "classify", galaxies, *words, "--save-every", 4, "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [Shard(1, 2).file, Shard(2, 2).file]
    assert cli.main(["merge", str(out)]) == 0
    assert "20 images, 0 of them unreadable, are in the 2 shards of" in capsys.readouterr().out
    assert dataset.dataset(out).to_table().equals(whole)
