"""Images of every origin end in the same rows; a run that is killed goes on; nothing bad stops it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import deque
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, write_galaxy10
from PIL import Image

from galaxylib import CLASS_NAMES, Galaxy10, GalaxyError, classify, cli, load
from galaxylib.catalogue.frame import Frame
from galaxylib.catalogue.inputs import Columns, Inputs, picture_at
from galaxylib.catalogue.run import Settings
from galaxylib.catalogue.writing import column_of, read_metadata
from galaxylib.evaluation.predictions import predict

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

EXACT = Settings(precision="float32", batch_size=4)
PROBABILITIES = [column_of(name) for name in CLASS_NAMES]
JUDGED = [*PROBABILITIES, "class", "margin", "unlike_training"]


@pytest.fixture(scope="module")
def small():
    return load("small")


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory) -> Path:
    """Ten blobs of light in the Galaxy10 format."""
    return write_galaxy10(tmp_path_factory.mktemp("galaxies") / "ten.h5", labels=np.arange(10), seed=3)


@pytest.fixture(scope="module")
def pictures(galaxies, tmp_path_factory) -> Path:
    """The same as PNG files, 0.png to 9.png."""
    folder = tmp_path_factory.mktemp("pictures")
    for row, image in enumerate(Galaxy10(galaxies).read(np.arange(10))):
        Image.fromarray(image).save(folder / f"{row}.png")
    return folder


@pytest.fixture(scope="module")
def expected(galaxies, small, tmp_path_factory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("expected") / "catalogue.parquet"
    classify(galaxies, out=out, checkpoint=small, settings=EXACT)
    return pd.read_parquet(out)


def made(tmp_path, small, *inputs, settings=EXACT, name="catalogue.parquet") -> pd.DataFrame:
    classify(*inputs, out=tmp_path / name, checkpoint=small, settings=settings)
    return pd.read_parquet(tmp_path / name)


def test_a_galaxy10_file_gets_what_evaluate_gives_it(galaxies, small, expected):
    data = Galaxy10(galaxies)
    table = predict(small, data, np.arange(10), batch_size=4)
    assert expected[PROBABILITIES].to_numpy() == pytest.approx(table[list(CLASS_NAMES)].to_numpy(), abs=1e-7)
    assert expected["unlike_training"].to_numpy() == pytest.approx(table["unlike_training"], rel=1e-6)
    ordered = np.sort(table[list(CLASS_NAMES)].to_numpy(), axis=1)
    assert expected["margin"].to_numpy() == pytest.approx(ordered[:, -1] - ordered[:, -2], abs=1e-7)
    assert expected["class"].tolist() == table[list(CLASS_NAMES)].idxmax(axis=1).tolist()
    assert expected["row"].tolist() == list(range(10))
    assert expected["ra"].tolist() == data.ra.tolist()
    assert expected["pixscale"].tolist() == [0.262] * 10
    assert expected["flags"].tolist() == [""] * 10


def test_labels_are_not_looked_at(galaxies, small, expected, tmp_path):
    shutil.copy(galaxies, tmp_path / "ten.h5")
    with h5py.File(tmp_path / "ten.h5", "a") as file:
        del file["ans"]
    without = made(tmp_path, small, tmp_path / "ten.h5")
    shutil.copy(galaxies, tmp_path / "ten.h5")
    with h5py.File(tmp_path / "ten.h5", "a") as file:
        file["ans"][:] = 99
    wrong = made(tmp_path, small, tmp_path / "ten.h5")
    for found in (without, wrong):
        pd.testing.assert_frame_equal(found.drop(columns="path"), expected.drop(columns="path"))


def as_struct(pictures, folder):
    images = [{"bytes": (pictures / f"{n}.png").read_bytes(), "path": f"{n}.png"} for n in range(10)]
    table = pa.table({"label": [0] * 10, "image": images, "pixscale": [0.262] * 10})
    pq.write_table(table, folder / "hub.parquet", row_group_size=3)
    return folder / "hub.parquet"


def as_bytes(pictures, folder):
    images = [(pictures / f"{n}.png").read_bytes() for n in range(10)]
    pq.write_table(pa.table({"id": [f"J{n}" for n in range(10)], "jpg": images}), folder / "b.parquet")
    return folder / "b.parquet"


def as_paths_within(pictures, folder):
    images = [{"bytes": None, "path": str(pictures / f"{n}.png")} for n in range(10)]
    pq.write_table(pa.table({"image": images}), folder / "p.parquet")
    return folder / "p.parquet"


def as_parquet_of_paths(pictures, folder):
    paths = [os.path.relpath(pictures / f"{n}.png", folder) for n in range(10)]
    pq.write_table(pa.table({"id_str": [str(n) for n in range(10)], "file_loc": paths}), folder / "t.parquet")
    return folder / "t.parquet"


def as_csv_of_paths(pictures, folder):
    with (folder / "t.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["objid", "path", "ra", "dec", "pixscale"])
        writer.writerows([f"J, {n}", pictures / f"{n}.png", n, -n, 0.262] for n in range(10))
    return folder / "t.csv"


def as_blocks(pictures, folder):
    images = np.stack([np.asarray(Image.open(pictures / f"{n}.png")) for n in range(10)])
    with h5py.File(folder / "blocks.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(4, 64, 64, 1), compression="gzip")
    return folder / "blocks.h5"


@pytest.mark.parametrize(
    "write",
    [as_struct, as_bytes, as_paths_within, as_parquet_of_paths, as_csv_of_paths, as_blocks, lambda p, _: p],
    ids=["hub", "bytes", "paths in a hub's", "Parquet of paths", "CSV of paths", "packed HDF5", "folder"],
)
def test_the_same_images_give_the_same_rows_wherever_they_lie(write, pictures, small, expected, tmp_path):
    found = made(tmp_path, small, write(pictures, tmp_path))
    pd.testing.assert_frame_equal(found[JUDGED], expected[JUDGED])
    assert set(found["flags"]) <= {"", "scale_assumed"}


def test_ids_and_places_are_the_tables(pictures, small, tmp_path):
    found = made(tmp_path, small, as_csv_of_paths(pictures, tmp_path))
    assert found["id"].tolist() == [f"J, {n}" for n in range(10)]
    assert found["path"].tolist() == [str(pictures / f"{n}.png") for n in range(10)]
    assert (found["ra"].tolist(), found["dec"].tolist()) == ([*range(10)], [-n for n in range(10)])
    assert set(found["flags"]) == {""}
    assert made(tmp_path, small, as_bytes(pictures, tmp_path))["id"].tolist() == [f"J{n}" for n in range(10)]
    hub = made(tmp_path, small, as_struct(pictures, tmp_path))
    assert hub["id"].tolist() == [f"hub:{n}" for n in range(10)]
    assert hub["row"].tolist() == [*range(10)]


def test_inputs_mix_and_any_stretch_of_them_can_be_had(pictures, galaxies, tmp_path):
    given = [pictures, str(pictures / "3.png"), pictures / "4.png", as_struct(pictures, tmp_path), galaxies]
    found = Inputs([*given, str(pictures / "[0-1].png").replace("[0-1]", "?")])
    whole = [(item.id, item.path, item.row) for item in found.items(0, len(found))]
    assert len(whole) == len(found) == 10 + 2 + 10 + 10 + 10
    for start, stop in ((0, 1), (9, 13), (11, 12), (14, 19), (31, 42), (41, 99), (5, 5)):
        assert [(item.id, item.path, item.row) for item in found.items(start, stop)] == whole[start:stop]


def test_a_catalogue_leads_back_to_the_images(pictures, galaxies, small, tmp_path):
    given = [galaxies, as_csv_of_paths(pictures, tmp_path), as_struct(pictures, tmp_path)]
    found = made(tmp_path, small, *given)
    images = Galaxy10(galaxies).read(np.arange(10))
    for number, (path, row) in enumerate(zip(found["path"], found["row"], strict=True)):
        assert np.array_equal(picture_at(path, row).planes, images[number % 10])


def test_columns_can_be_named(pictures, small, expected, tmp_path):
    table = pd.read_csv(as_csv_of_paths(pictures, tmp_path)).rename(columns={"objid": "who", "path": "where"})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(GalaxyError, match="no column of images or of their paths among who, where, ra"):
        Inputs([tmp_path / "t.csv"])
    with pytest.raises(GalaxyError, match="has no column 'what': it has who, where"):
        Inputs([tmp_path / "t.csv"], columns=Columns(id="what", image="where"))
    settings = Settings(precision="float32", batch_size=4, columns=Columns(id="who", image="where"))
    found = made(tmp_path, small, tmp_path / "t.csv", settings=settings)
    assert found["id"].tolist() == [f"J, {n}" for n in range(10)]
    pd.testing.assert_frame_equal(found[JUDGED], expected[JUDGED])


def test_votes_are_those_that_the_network_gives_the_challenges_pictures(tmp_path):
    from votes_folder import write_folder

    from galaxylib.votes.checkpoint import load_votes_network
    from galaxylib.votes.classes import to_classes
    from galaxylib.votes.outputs import predict_votes
    from galaxylib.votes.zoo2 import ANSWERS, IMAGES, read_votes

    write_folder(tmp_path)
    for path in (tmp_path / IMAGES).iterdir():  # a smooth blob, for the two ways differ in their resampling
        y, x = np.mgrid[:424, :424] - 212.0
        width = 10 + int(path.stem) % 7 * 5
        light = 220 * np.exp(-(x**2 + (y * 1.7) ** 2) / 2 / width**2)
        Image.fromarray(np.stack([light] * 3, 2).astype(np.uint8)).save(path, quality=95)
    votes, network = read_votes(tmp_path), load_votes_network("pretrained")
    expected = predict_votes(network.network, votes.images, network.meta["task"]["rule"])
    settings = Settings(frame=Frame(as_is=True), votes=True, precision="float32")
    out = tmp_path / "votes.parquet"
    classify(tmp_path / IMAGES, out=out, checkpoint="pretrained", settings=settings)
    found = pd.read_parquet(out)
    assert found["id"].tolist() == [str(number) for number in votes.ids]
    fractions = found[list(ANSWERS)].to_numpy()
    assert np.abs(fractions - expected).max() < 0.02
    assert found["class"].tolist() == [CLASS_NAMES[number] for number in to_classes(fractions)]
    assert found[PROBABILITIES].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert "not calibrated" in read_metadata(out)["probabilities"]
    for settings, sentence in (
        (Settings(votes=True), "add --as-is"),
        (Settings(), "add --votes"),
    ):
        with pytest.raises(GalaxyError, match=sentence):
            classify(tmp_path / IMAGES, out=out, checkpoint=network, settings=settings)


# What is bad


def test_one_bad_file_never_stops_a_run(pictures, small, expected, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(pictures, folder)
    (folder / "0a.png").write_bytes(b"")
    (folder / "1a.jpg").write_bytes(b"not an image at all")
    (folder / "2a.png").write_bytes((pictures / "2.png").read_bytes()[:900])
    (folder / "3a.png").symlink_to(folder / "away.png")
    (folder / "4a.fits").write_bytes(b"SIMPLE  =                    T" + b" " * 50)
    (folder / "5a.jpg.gz").write_bytes(b"\x1f\x8b\x08 broken")
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet")
    out = tmp_path / "catalogue.parquet"
    summary = classify(
        folder, tmp_path / "bad.h5", tmp_path / "bad.parquet", out=out, checkpoint=small, settings=EXACT
    )
    found = pd.read_parquet(out)
    bad = found["flags"] == "unreadable"
    assert (summary.rows, summary.counts["unreadable"]) == (18, 8) == (len(found), bad.sum())
    for reason, part in zip(
        found["reason"][bad],
        ("is empty", "no whole image", "no whole image", "no file", "FITS", "gzip", "not an HDF5", "Parquet"),
        strict=True,
    ):
        assert part in reason
        assert reason.endswith((".", "`"))
        assert reason.count(": ") >= 1
    assert found[PROBABILITIES][bad].isna().all(axis=None)
    assert found["class"][bad].tolist() == [""] * 8
    good = found[~bad].reset_index(drop=True)
    assert good[PROBABILITIES].to_numpy() == pytest.approx(expected[PROBABILITIES].to_numpy(), abs=1e-5)
    assert good["reason"].tolist() == [""] * 10
    assert read_metadata(out)["unreadable"] == 8


def test_rows_without_an_image_say_so(pictures, small, tmp_path):
    given = (pictures / "0.png").read_bytes()
    pq.write_table(pa.table({"image": [given, None, b"", b"xx"]}), tmp_path / "gaps.parquet")
    (tmp_path / "gaps.csv").write_text('path\nnowhere.png\n""\n')
    found = made(tmp_path, small, tmp_path / "gaps.parquet", tmp_path / "gaps.csv")
    assert [flag != "" for flag in found["reason"]] == [False, True, True, True, True, True]
    for row, part in (
        (1, "no image in row 1"),
        (2, "empty"),
        (3, "no whole"),
        (4, "no file"),
        (5, "names no"),
    ):
        assert part in found["reason"][row]


def test_a_damaged_row_group_is_rows_that_say_so(pictures, small, tmp_path):
    path = as_struct(pictures, tmp_path)
    about = pq.ParquetFile(path).metadata.row_group(1)
    column = next(one for one in map(about.column, range(4)) if one.path_in_schema == "image.bytes")
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    found = made(tmp_path, small, path)
    bad = found["flags"].str.contains("unreadable")
    assert found["row"][bad].tolist() == [3, 4, 5]
    assert found["reason"][bad].str.contains("row group 1 of .* damaged").all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nowhere.png", "There is no file or folder"),
        ("nothing-*.png", "No file fits"),
        ("nothing-{band}.fits", "No file fits .* with g in place of"),
        (".", "holds no image"),
    ],
)
def test_inputs_that_are_not_there_are_refused_before_the_work(given, sentence, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GalaxyError, match=sentence):
        classify(given, out="x.parquet", checkpoint=small)
    assert not any(tmp_path.iterdir())


def test_settings_that_cannot_be_are_refused(pictures, small, tmp_path, tiny_checkpoint):
    for settings, sentence in (
        (Settings(precision="float8"), "no precision 'float8'"),
        (Settings(save_every=0), "save_every is 0"),
        (Settings(batch_size=0), "batch_size is 0"),
        (Settings(votes=True), "ten classes and no vote fractions"),
    ):
        with pytest.raises(GalaxyError, match=sentence):
            classify(pictures, out=tmp_path / "x.parquet", checkpoint=small, settings=settings)
    with pytest.raises(GalaxyError, match="no ending of a catalogue"):
        classify(pictures, out=tmp_path / "x.txt", checkpoint=small)
    (tmp_path / "file").touch()
    with pytest.raises(GalaxyError, match="file is a file: give another folder"):
        classify(pictures, out=tmp_path / "file" / "x.parquet", checkpoint=small)
    with pytest.raises(GalaxyError, match="is read, so it is not overwritten"):
        classify(as_csv_of_paths(pictures, tmp_path), out=tmp_path / "t.csv", checkpoint=small)


# Stopped and gone on with

WORDS = ["--checkpoint", "small", "--precision", "float32", "--batch-size", "2", "--save-every", "4"]


def command(out, *more):
    return [
        sys.executable,
        "-m",
        "galaxylib",
        "classify",
        *map(str, more),
        "--out",
        str(out),
        *WORDS,
        "--quiet",
    ]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_bytes(pictures, galaxies, tmp_path, capsys):
    inputs = [pictures, galaxies, as_struct(pictures, tmp_path)]
    whole, killed = tmp_path / "whole" / "c.parquet", tmp_path / "killed" / "c.parquet"
    assert cli.main(command(whole, *inputs)[3:]) == 0
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command(killed, *inputs), cwd=ROOT, env=environment) as process:
        parts, patience = killed.with_name("c.parquet.parts"), time.monotonic() + 60
        while len([*parts.glob("*.parquet")]) < 2:
            assert process.poll() is None
            assert time.monotonic() < patience
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not killed.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    assert 2 <= len(kept) < 8
    # Other options, or another folder, are not mixed in.
    assert cli.main([*command(killed, *inputs)[3:], "--symmetries"]) == 1
    said = capsys.readouterr().err
    assert "holds an unfinished run with another symmetries (was False, is True): go on as it was" in said
    assert said.count("\n") == 1
    (pictures / "new.png").write_bytes(b"")
    assert cli.main(command(killed, *inputs)[3:]) == 1
    assert "another content" in capsys.readouterr().err
    (pictures / "new.png").unlink()
    assert {path.name: path.stat().st_mtime_ns for path in parts.glob("*.parquet")} == kept
    assert cli.main(command(killed, *inputs)[3:]) == 0
    assert killed.read_bytes() == whole.read_bytes()
    assert [path.name for path in killed.parent.iterdir()] == ["c.parquet"]


def test_parts_that_are_whole_are_not_made_again(pictures, small, tmp_path, monkeypatch):
    settings = Settings(precision="float32", batch_size=4, save_every=4)
    before = made(tmp_path, small, pictures, settings=settings)
    from galaxylib.catalogue import batches

    looked, right = [], batches.look

    def stopped(item, *rest):
        looked.append(item.id)
        if item.id == "5":
            raise KeyboardInterrupt
        return right(item, *rest)

    monkeypatch.setattr(batches, "look", stopped)
    monkeypatch.setattr(batches, "AHEAD", 1)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, small, pictures, settings=settings, name="again.parquet")
    monkeypatch.setattr(batches, "look", lambda item, *rest: looked.append(item.id) or right(item, *rest))
    looked.clear()
    pd.testing.assert_frame_equal(
        made(tmp_path, small, pictures, settings=settings, name="again.parquet"), before
    )
    assert sorted(looked) == [str(number) for number in range(4, 10)]


@pytest.mark.slow
def test_a_part_in_the_middle_can_be_made_again_alone(pictures, galaxies, small, tmp_path, monkeypatch):
    from galaxylib.catalogue import run

    settings = Settings(precision="float32", batch_size=2, save_every=3)
    given = [pictures, as_struct(pictures, tmp_path), as_csv_of_paths(pictures, tmp_path), galaxies]
    whole = made(tmp_path, small, *given, settings=settings)
    monkeypatch.setattr(run, "_summary", lambda *_: pytest.fail("stopped before the end"))
    with pytest.raises(pytest.fail.Exception):
        made(tmp_path, small, *given, settings=settings)
    monkeypatch.undo()
    parts = tmp_path / "catalogue.parquet.parts"
    assert len([*parts.glob("*.parquet")]) == 14
    for number in (3, 4, 5, 8, 11, 13):
        (parts / f"{number:06d}.parquet").unlink()
    pd.testing.assert_frame_equal(made(tmp_path, small, *given, settings=settings), whole)


def test_inputs_that_shrink_meanwhile_are_told(pictures, small, tmp_path, monkeypatch):
    monkeypatch.setattr(Inputs, "__len__", lambda self: 11)
    with pytest.raises(GalaxyError, match="fewer images than at the run's beginning"):
        classify(pictures, out=tmp_path / "c.parquet", checkpoint=small, settings=EXACT)


def test_a_batch_is_halved_until_it_fits(small, monkeypatch):
    from galaxylib.catalogue import run

    def forward(images):
        if len(images) > 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.zeros(len(images), 10)

    monkeypatch.setattr(run, "default_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(small.network, "forward", forward)
    loaded = replace(small, reference=None)
    assert run.fitting_batch(loaded, EXACT) == 32
    monkeypatch.setattr(small.network, "forward", lambda images: 1 / 0)
    with pytest.raises(GalaxyError, match="cannot read images"):
        run.fitting_batch(loaded, EXACT)


def test_a_run_with_other_options_is_not_mixed_in(pictures, small, tmp_path, monkeypatch):
    from galaxylib.catalogue import run

    monkeypatch.setattr(run, "_summary", lambda *_: pytest.fail("stopped before the end"))
    with pytest.raises(pytest.fail.Exception):
        made(tmp_path, small, pictures)
    other = replace(small, meta=small.meta | {"sha256": "0" * 64})
    for changed, network, said in (
        (replace(EXACT, batch_size=3), small, r"batch_size \(was 4, is 3\)"),
        (replace(EXACT, frame=Frame(pixscale=0.3)), small, "frame"),
        (replace(EXACT, embedding=True), small, "embedding"),
        (replace(EXACT, precision="bfloat16"), small, "precision"),
        (replace(EXACT, columns=Columns(id="name")), small, "columns"),
        (EXACT, other, "weights_sha256"),
    ):
        with pytest.raises(GalaxyError, match=f"unfinished run with another {said}"):
            made(tmp_path, network, pictures, settings=changed)
    with pytest.raises(GalaxyError, match="another content"):
        made(tmp_path, small, pictures / "0.png")


def test_two_runs_do_not_write_one_catalogue(pictures, small, tmp_path):
    from galaxylib.files import hold_lock

    held = hold_lock(tmp_path / "c.parquet.parts" / "lock")
    with pytest.raises(GalaxyError, match="is at work in"):
        classify(pictures, out=tmp_path / "c.parquet", checkpoint=small)
    held.close()


# The command


def test_the_command_tells_classes_of_a_few_and_counts_of_many(pictures, galaxies, tmp_path, capsys):
    one = ["classify", str(pictures / "0.png"), "--checkpoint", "small", "--quiet", "--out"]
    assert cli.main([*one, str(tmp_path / "one.csv")]) == 0
    first, last = capsys.readouterr().out.splitlines()
    row = pd.read_csv(tmp_path / "one.csv").iloc[0]
    shares = {name: row[column_of(name)] for name in CLASS_NAMES}
    rival = sorted(shares, key=shares.get)[-2]
    said = f"0: {row['class']} ({max(shares.values()):.0%}; next {rival}, {shares[rival]:.0%})"
    assert first.startswith(said)
    assert "[scale_assumed]" in first
    assert last == f"1 image in {tmp_path / 'one.csv'}."
    many = ["classify", str(pictures), str(galaxies), *WORDS, "--quiet", "--out"]
    assert cli.main([*many, str(tmp_path / "many.parquet")]) == 0
    *counts, last = capsys.readouterr().out.splitlines()
    assert sum(int(line.split(": ")[1]) for line in counts) == 20
    assert last.startswith("20 images in ")


def test_strict_makes_an_unreadable_image_a_failure(pictures, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"")
    words = [
        "classify",
        str(tmp_path / "bad.png"),
        str(pictures / "0.png"),
        "--checkpoint",
        "small",
        "--quiet",
    ]
    assert cli.main([*words, "--out", str(tmp_path / "c.csv")]) == 0
    said = capsys.readouterr().err
    assert said.startswith("galaxylib: 1 of 2 images could not be read; the first: ")
    assert said.count("\n") == 1
    assert cli.main([*words, "--out", str(tmp_path / "c.csv"), "--strict"]) == 1
    assert len(pd.read_csv(tmp_path / "c.csv")) == 2


def test_the_progress_bar_tells_speed_and_time(pictures, small, tmp_path, capsys):
    classify(pictures, out=tmp_path / "c.csv", checkpoint=small, settings=EXACT, progress=True)
    assert "image/s" in capsys.readouterr().err


# The short type


def test_the_short_type_moves_little_and_is_told(pictures, small, expected, tmp_path):
    found = made(tmp_path, small, pictures, settings=Settings(precision="bfloat16", batch_size=4))
    moved = np.abs(found[PROBABILITIES].to_numpy() - expected[PROBABILITIES].to_numpy()).max()
    assert 0 < moved < 0.05
    assert read_metadata(tmp_path / "catalogue.parquet")["precision"] == "bfloat16"


def test_inputs_are_not_listed(tmp_path):
    """Items are made as they are asked for: the memory for 20,000 is that for one."""
    (tmp_path / "t.csv").write_text("id,path\n" + "".join(f"{n},{n}.png\n" for n in range(20_000)))
    tracemalloc.start()
    found = Inputs([tmp_path / "t.csv"])
    last = deque(found.items(0, len(found)), maxlen=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(found), last[0].id) == (20_000, "19999")
    assert peak < 1e6


def test_few_batches_are_held_however_many_there_are(pictures, tmp_path, monkeypatch):
    """Of 60 batches of two, at most AHEAD + 1 are decoded and not yet asked for, in as many buffers."""
    from galaxylib.catalogue import batches as module

    rows = [f"{number},{pictures / str(number % 10)}.png" for number in range(120)]
    (tmp_path / "t.csv").write_text("\n".join(["id,path", *rows]))
    looked, right = [], module.look
    monkeypatch.setattr(module, "look", lambda item, *rest: looked.append(item.id) or right(item, *rest))
    taken, buffers, most = [], set(), 0
    found = module.batches(Inputs([tmp_path / "t.csv"]), range(12), Frame(), batch_size=2, save_every=10)
    for batch in found:
        most = max(most, len(looked) - len(taken))
        buffers.add(batch.images.untyped_storage().data_ptr())
        for item, image in zip(batch.items, batch.images, strict=True):  # nothing later has been put there
            assert np.array_equal(image.numpy(), np.asarray(Image.open(item.path)))
            taken.append(item.id)
    assert taken == [str(number) for number in range(120)]
    assert most <= 2 * (module.AHEAD + 1)
    assert len(buffers) == module.AHEAD + 1


def test_images_that_cannot_be_read_do_not_pile_up(small, tmp_path, monkeypatch):
    """A table of files that are away is kept part by part, and not only at its end."""
    from galaxylib.catalogue import batches, writing

    (tmp_path / "t.csv").write_text("\n".join(["path", *(f"{number}.png" for number in range(40))]))
    looked, seen, look, write = [], [], batches.look, writing.Parts.write
    monkeypatch.setattr(batches, "look", lambda item, *rest: looked.append(item.id) or look(item, *rest))
    monkeypatch.setattr(
        writing.Parts, "write", lambda self, *rest: seen.append(len(looked)) or write(self, *rest)
    )
    made(tmp_path, small, tmp_path / "t.csv", settings=Settings(batch_size=2, save_every=4))
    for part, count in enumerate(seen, 1):
        assert count <= part * 4 + batches.AHEAD * 2
    assert len(seen) == 10


def test_the_embedding_is_the_last_stages_mean(pictures, small, expected, tmp_path):
    settings = replace(EXACT, embedding=True)
    found = made(tmp_path, small, pictures, settings=settings)
    images = np.stack([np.asarray(Image.open(pictures / f"{row}.png")) for row in range(10)])
    with torch.inference_mode():
        prepared = small.preprocess(torch.from_numpy(images))
        means = small.network.forward_features(prepared).mean((2, 3)).numpy()
    assert np.stack(found["embedding"]) == pytest.approx(means, abs=1e-4)
    pd.testing.assert_frame_equal(found[JUDGED], expected[JUDGED])


def test_the_metadata_tell_how_it_was_made(pictures, small, tmp_path):
    classify(pictures, out=tmp_path / "c.parquet", checkpoint=small, settings=EXACT)
    about = read_metadata(tmp_path / "c.parquet")
    assert (
        about["weights_sha256"]
        == json.loads((ROOT / "galaxylib" / "weights" / "small" / "checkpoint.json").read_text())["sha256"]
    )
    assert about["temperature"] == small.temperature != 1
    assert about["preprocess"] == json.loads(json.dumps(small.preprocess.to_dict()))
    assert about["classes"] == dict(zip(PROBABILITIES, CLASS_NAMES, strict=True))
    assert about["frame"] == {
        "pixscale": None,
        "centre": "middle",
        "as_is": False,
        "arcsec_a_pixel": 0.262,
        "pixels": 256,
    }
    assert {"galaxylib", "commit", "network", "precision", "device"} <= about.keys()
    assert (about["rows"], about["unreadable"]) == (10, 0)
