"""Other surveys become companions: the stretch, labels, chances, what is held out, scores, and training."""

import hashlib
import json
import math
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, shared_data
from PIL import Image
from votes_folder import KINDS, write_surveys

from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import DataError
from galaxylib.networks.checkpoint import load
from galaxylib.training.state import LAST
from galaxylib.votes.classes import support, to_classes
from galaxylib.votes.held_out import held_out_part, is_right, judged, score, score_groups, score_votes
from galaxylib.votes.other_surveys import (
    GAINS,
    GROUPS,
    companions_of,
    in_held_out_part,
    lifted,
    read_coarse,
    read_unlabelled,
    read_voted,
    restretched,
)
from galaxylib.votes.zoo2 import read_solutions


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Votes on six galaxies, coarse classes of twelve, and three without labels."""
    return write_surveys(tmp_path_factory.mktemp("surveys"))


@pytest.fixture(scope="module")
def surveys(folders):
    return (
        read_voted(folders / "votes"),
        read_coarse(folders / "coarse"),
        read_unlabelled(folders / "unlabelled"),
    )


def test_the_stretch_is_that_of_a_plain_loop():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    image[0, 0], image[0, 1], image[0, 2] = 0, 255, (0, 0, 1)
    found = restretched(image)
    for row in range(7):
        for column in range(5):
            x = [int(value) / 255 for value in image[row, column]]
            f = sum(x) / 3
            intensity = math.sinh(f * math.sqrt(20)) / 20
            v = [
                one * intensity / max(f, 1e-3) * gain + 0.03
                for one, gain in zip(x, (1.155, 0.992, 1.05), strict=True)
            ]
            mean = sum(v) / 3
            bright = math.asinh(20 * mean) / math.sqrt(20)
            for channel in range(3):
                exact = min(max(v[channel] * bright / mean, 0), 1) * 255
                assert abs(found[row, column, channel] - exact) <= 0.6  # the gains are rounded here
    assert pytest.approx((1.155, 0.992, 1.05), abs=1e-3) == GAINS


def test_black_becomes_the_viewers_sky_and_order_is_kept():
    sky = 255 * math.asinh(20 * 0.03) / math.sqrt(20)
    assert (restretched(np.zeros((2, 2, 3), np.uint8)) == round(sky)).all()
    grey = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    found = restretched(grey).astype(int)
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found[-1] - found[0] > 150).all()
    # The batch makes no difference.
    assert (restretched(np.stack([grey, grey[::-1]]))[1] == found[::-1]).all()


def test_a_dark_sky_is_lifted_to_the_viewers_and_a_bright_one_stays():
    noise = np.random.default_rng(0).normal(20, 4, (64, 64, 3))
    dark = np.clip(noise, 0, 255).astype(np.uint8)
    dark[24:40, 24:40] = (200, 180, 160)  # a galaxy, which leaves the median as it is
    found = lifted(dark)
    assert np.median(found) == pytest.approx(255 * math.asinh(20 * 0.03) / math.sqrt(20), abs=1)
    # The light that is added is the same everywhere, as a plain computation of one pixel shows.
    sky = float(np.median(np.sinh(dark.mean(-1) / 255 * math.sqrt(20)) / 20))
    x = dark[30, 30] / 255
    intensity = math.sinh(x.mean() * math.sqrt(20)) / 20
    v = x * intensity / x.mean() + 0.03 - sky
    exact = v * math.asinh(20 * v.mean()) / math.sqrt(20) / v.mean() * 255
    assert found[30, 30] == pytest.approx(exact, abs=0.6)
    bright = np.full((8, 8, 3), 60, np.uint8)
    bright[0, 0] = 0  # no light at all, and none is added
    with np.errstate(all="raise"):
        assert (lifted(bright) == bright).all()


def test_votes_become_shares(folders, surveys):
    voted = surveys[0]
    _, fractions = read_solutions(folders / "votes" / "training_solutions_rev1.csv")
    for row, shares in enumerate(support(fractions)):
        np.testing.assert_allclose(voted.targets[row], shares / sum(shares), rtol=1e-5)
    assert (voted.kinds == to_classes(fractions)).all()
    assert voted.images.shape == (6, 256, 256, 3)
    assert not voted.partial
    # Framed: the middle 340 of 424, whose every 8 pixels are alike.
    with Image.open(folders / "votes" / "images_training_rev1" / "100023.jpg") as image:
        pixel = restretched(np.asarray(image)[42 + 170, 42 + 170])
    assert np.abs(voted.images[1][128, 128].astype(int) - pixel).max() < 40
    # Each image takes the look that is asked for.
    for survey, read, folder in zip(surveys, (read_voted, read_coarse), ("votes", "coarse"), strict=False):
        plain = read(folders / folder, look=np.asarray)
        assert (restretched(plain.images) == survey.images).all()
        assert (plain.targets == survey.targets).all()


def test_coarse_classes_become_groups(surveys):
    coarse = surveys[1]
    assert coarse.partial
    for row, name in enumerate(KINDS):
        assert {CLASS_NAMES[k] for k in np.flatnonzero(coarse.targets[row])} == set(GROUPS[name])
    assert set(sum(GROUPS.values(), ())) == set(CLASS_NAMES)


def test_what_is_held_out_hangs_on_the_number_alone():
    ids = np.arange(10**6, 10**6 + 4000)
    held = in_held_out_part(ids)
    expected = [hashlib.sha256(str(number).encode()).hexdigest() < "4" for number in ids]
    assert (held == expected).all()
    assert abs(held.mean() - 0.25) < 0.03
    assert (in_held_out_part(ids[::7]) == held[::7]).all()
    assert (in_held_out_part(ids.astype(str)) == held).all()


def test_a_galaxy_shown_twice_stays_on_one_side(folders, tmp_path):
    """Two of the images are made one: both follow the smaller number, whatever their own would say."""
    import shutil

    shutil.copytree(folders / "votes", tmp_path / "votes")
    ids, _ = read_solutions(tmp_path / "votes" / "training_solutions_rev1.csv")
    own = in_held_out_part(ids)
    first, second = next((a, b) for a in range(6) for b in range(6) if a < b and own[a] != own[b])
    stored = tmp_path / "votes" / "images_training_rev1"
    shutil.copy(stored / f"{ids[first]}.jpg", stored / f"{ids[second]}.jpg")
    held = read_voted(tmp_path / "votes").held
    assert held[second] == held[first] == own[first]


def test_chances_balance_classes_and_sources(surveys):
    companions = companions_of(*surveys)
    voted, coarse, unlabelled = surveys
    assert len(companions) == sum((~survey.held).sum() for survey in surveys)
    for number, survey in enumerate(surveys[:2]):
        chance = companions.chance[companions.source == number]
        kinds = survey.kinds[~survey.held]
        plain = np.array([1 / math.sqrt(sum(kinds == kind)) for kind in kinds])
        np.testing.assert_allclose(chance, plain / plain.sum())
    assert (companions.chance[companions.source == 2] == 0).all()
    assert companions.measured.all()
    told = companions.description()["sources"]
    assert [source["labels"] for source in told] == ["votes", "coarse classes", "none"]
    assert told[2] == {"name": "Legacy Surveys", "labels": "none", "images": 3, "drawn": 0, "measured": 3}
    more = companions_of(voted, coarse, shares={"Galaxy Zoo 1": 3})
    assert more.chance[more.source == 1].sum() == pytest.approx(3 * more.chance[more.source == 0].sum())
    for given, shares in (((), {}), ((unlabelled,), {"Galaxy Zoo 1": 2})):
        with pytest.raises(DataError, match="give at least one survey, and shares of these only"):
            companions_of(*given, shares=shares)
    for survey in surveys[:2]:
        assert held_out_part(survey).held.all()
        assert len(held_out_part(survey)) == survey.held.sum()


def test_wrong_folders_are_one_sentence(folders, tmp_path):
    def spoilt(**changes):
        table = pd.read_csv(folders / "coarse" / "classes.csv", dtype=str)
        (tmp_path / "images").mkdir(exist_ok=True)
        for column, value in changes.items():
            table.loc[0, column.rstrip("_")] = value
        table.to_csv(tmp_path / "classes.csv", index=False)
        return tmp_path

    for read in (read_voted, read_coarse, read_unlabelled):
        with pytest.raises(DataError, match="There is no folder"):
            read(tmp_path / "none")
    with pytest.raises(DataError, match="is no table"):
        read_coarse(tmp_path)
    for changes, sentence in (
        ({"class_": "lenticular"}, "names the class 'lenticular': choose among elliptical, spiral_clockwise"),
        ({"objid": "../x"}, "not whole numbers that are all different"),
        ({}, "lacks 12 of the 12 images"),
    ):
        with pytest.raises(DataError, match=sentence):
            read_coarse(spoilt(**changes))
    (tmp_path / "classes.csv").write_text("objid\n1\n")
    with pytest.raises(DataError, match="lacks objid, class or any row"):
        read_coarse(tmp_path)
    with pytest.raises(DataError, match="holds no image"):
        read_unlabelled(tmp_path)
    Image.new("RGB", (200, 200)).save(tmp_path / "images" / "small.png")
    with pytest.raises(DataError, match="has 200 x 200 pixels of mode RGB: give square images"):
        read_unlabelled(tmp_path)
    (tmp_path / "images" / "small.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="is no whole image"):
        read_unlabelled(tmp_path)


def test_scores_of_votes_are_those_of_a_plain_loop(surveys):
    fractions = surveys[0].fractions
    found = np.random.default_rng(1).dirichlet(np.ones(10), 6)
    told = score_votes(found, fractions)
    shares, classes = support(fractions), to_classes(fractions)
    right = [int(np.argmax(found[row])) == classes[row] for row in range(6)]
    clear = [shares[row][classes[row]] >= 0.5 for row in range(6)]
    assert told["all"]["share"] == pytest.approx(sum(right) / 6)
    assert is_right(found, surveys[0]).tolist() == right
    assert told["clear"]["n"] == sum(clear)
    means = [np.mean([r for r, c in zip(right, classes, strict=True) if c == kind]) for kind in set(classes)]
    assert told["macro"] == pytest.approx(np.mean(means))
    costs = [
        -sum(shares[row][k] / sum(shares[row]) * math.log(found[row][k]) for k in range(10))
        for row in range(6)
    ]
    assert told["cross_entropy"] == pytest.approx(np.mean(costs))
    perfect = score_votes(np.eye(10)[classes], fractions)
    assert perfect["all"]["share"] == perfect["macro"] == 1


def test_scores_of_groups_are_those_of_a_plain_loop(surveys):
    coarse = surveys[1]
    found = np.random.default_rng(2).dirichlet(np.ones(10), len(KINDS))
    told = score(found, coarse)
    right, costs, of = [], [], {}
    for row, name in enumerate(KINDS):
        sums = {
            group: sum(found[row][CLASS_NAMES.index(one)] for one in group) for group in set(GROUPS.values())
        }
        right.append(max(sums, key=sums.get) == GROUPS[name])
        costs.append(-math.log(sums[GROUPS[name]]))
        of.setdefault(GROUPS[name], []).append(right[-1])
    assert told["n"] == len(KINDS)
    assert told["share"] == pytest.approx(np.mean(right))
    assert is_right(found, coarse).tolist() == right
    with pytest.raises(DataError, match="Nothing is known"):
        is_right(found, surveys[2])
    assert told["cross_entropy"] == pytest.approx(np.mean(costs))
    assert len(told["groups"]) == 4  # the spirals are one
    assert told["macro"] == pytest.approx(np.mean([np.mean(values) for values in of.values()]))
    # A group's sum decides, not its largest class.
    spread = np.full((1, 10), 0.0)
    spread[0, [CLASS_NAMES.index(name) for name in GROUPS["edge_on"]]] = 0.2
    spread[0, CLASS_NAMES.index("Merging")] = 0.4
    assert score_groups(spread, np.array([list(GROUPS).index("edge_on")]))["share"] == 1
    for probabilities, survey, sentence in (
        (found[:3], coarse, "3 rows for 12 galaxies"),
        (found[:3], surveys[2], "Nothing is known"),
    ):
        with pytest.raises(DataError, match=sentence):
            score(probabilities, survey)


def test_a_network_is_judged_in_the_order_of_the_classes(surveys, tiny_checkpoint):
    loaded = load(tiny_checkpoint)
    found = judged(loaded, surveys[2], batch_size=2)
    assert found.shape == (3, 10)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    turned = type(loaded)(loaded.network, loaded.preprocess, loaded.class_names[::-1], loaded.meta)
    np.testing.assert_allclose(judged(turned, surveys[2]), found[:, ::-1], atol=1e-6)


TINY = ["--recipe", "real-small", "--width", "0.05", "--size", "32", "--growth", "", "--epochs", "1",
        "--batch-size", "8", "--quiet"]  # fmt: skip


@pytest.mark.slow
def test_train_on_the_command_line(tmp_path, blob_file, folders, capsys):
    common = ["train", "--data", str(blob_file), *TINY]
    beside = ["--votes", str(folders / "votes"), "--coarse", str(folders / "coarse")]
    sky = ["--unlabelled", str(folders / "unlabelled")]

    def refused(*words):
        assert main([*common, "--out", str(tmp_path / "new"), *words]) == 1
        assert not (tmp_path / "new").exists()
        return capsys.readouterr().err

    assert "there are none: give them" in refused()
    assert "draws 64 labelled images of other surveys a step: give --votes or --coarse" in refused(*sky)
    assert "draws 0 labelled images of other surveys a step: leave --votes" in refused(
        *beside, *sky, "--companions", "0"
    )
    assert "does not look at --votes" in refused(*sky, "--companions", "0", "--statistics", "training")
    assert "a network of votes learns from --data alone" in refused(*beside, "--network", "gz_cnn")
    assert "give more of them, or set companions lower" in refused(*beside, *sky)

    assert main([*common, "--out", str(tmp_path / "run"), *beside, *sky, "--companions", "4"]) == 0
    told = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    names = [source["name"] for source in told["companions"]["sources"]]
    assert names == ["Galaxy Zoo 2", "Galaxy Zoo 1", "Legacy Surveys"]
    # Simulated labels alone, real images for the statistics, and going on from the run above.
    alone = [*sky, "--companions", "0", "--start", str(tmp_path / "run")]
    assert main([*common, "--out", str(tmp_path / "alone"), *alone]) == 0
    about = json.loads((tmp_path / "alone" / "checkpoint.json").read_text())
    assert [source["labels"] for source in about["companions"]["sources"]] == ["none"]
    assert about["start"]["sha256"] == told["sha256"]
    assert about["start"]["companions"] == told["companions"]
    assert load(tmp_path / "alone").meta == about


TWO = """
import os, socket, sys

import galaxylib.training.loop  # once for both: it takes seconds
from galaxylib.cli import main

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
os.environ |= {"TORCHELASTIC_RUN_ID": "x", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
second = os.fork() == 0
rank = str(int(second))
os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
status = main(sys.argv[1:])
sys.stdout.flush()
if second:
    os._exit(status)
other = os.waitstatus_to_exitcode(os.wait()[1])
sys.exit(status or other)
"""
"""What `torchrun` does; that it does so, `tests/training/test_loop.py` shows."""


@pytest.mark.slow
def test_two_processes_equal_one_that_adds_up_their_halves(tmp_path, blob_file, folders):
    """With gloo on the CPU: companions, too, are shared as one process shares them among parts."""
    words = ["train", "--data", str(blob_file), *TINY, "--companions", "4", "--dropout", "0"]
    words += [
        "--precision",
        "float32",
        "--votes",
        str(folders / "votes"),
        "--coarse",
        str(folders / "coarse"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", TWO, *words, "--out", str(tmp_path / "two")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert main([*words, "--out", str(tmp_path / "one"), "--accumulate", "2"]) == 0
    one, two = (
        torch.load(tmp_path / name / LAST, weights_only=True)["state_dict"] for name in ("one", "two")
    )
    for name, tensor in one.items():
        # Running statistics are of each process's own images, averaged; they do not enter the weights.
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(two[name], tensor, rtol=1e-3, atol=2e-5), name
    histories = [pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two")]
    for column in ("train_loss", "companion_loss"):
        assert np.allclose(histories[0][column], histories[1][column], atol=1e-4)


def test_the_real_folders_are_as_they_were(tmp_path):
    """Counts, and which part is held out: these never change, whatever is trained."""
    table = pd.read_csv(shared_data("gz1") / "classes.csv", dtype=str)
    held = in_held_out_part(table["objid"].to_numpy())
    assert (len(held), int(held.sum())) == (2863, 745)
    ids, _ = read_solutions(shared_data("gz2") / "training_solutions_rev1.csv")
    assert (len(ids), int(in_held_out_part(ids).sum())) == (1280, 317)
