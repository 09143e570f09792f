"""Outputs along the tree, the training of votes, and votes drawn from the truth."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import shared_data
from votes_folder import write_folder

from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.splits import Split
from galaxylib.errors import DataError, GalaxyError
from galaxylib.networks import checkpoint
from galaxylib.networks.registry import build
from galaxylib.training.loop import train
from galaxylib.training.recipes import TAILORED_RECIPE
from galaxylib.votes import outputs, simulated, zoo2
from galaxylib.votes.checkpoint import PRETRAINED, load_votes_network
from galaxylib.votes.outputs import VoteFractions, predict_votes, to_fractions
from galaxylib.votes.split import held_out, near_duplicates, split_votes
from galaxylib.votes.zoo2 import ANSWERS, PLACES, TREE, WIDE, Votes


@pytest.fixture
def folder(tmp_path):
    """Six galaxies in the challenge's layout."""
    (tmp_path / "votes").mkdir()
    return write_folder(tmp_path / "votes")


def test_outputs_along_the_tree_obey_it_and_the_others_do_as_they_say():
    logits = torch.randn(20, 37, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    along = to_fractions(logits, "tree").numpy()
    assert np.abs(zoo2.gaps(along)).max() < 1e-12
    zoo2.check_fractions(np.arange(20), along, where="outputs")
    each = to_fractions(logits, "question").numpy()
    for question in TREE:
        np.testing.assert_allclose(each[:, zoo2.places(question)].sum(axis=1), 1)
    torch.testing.assert_close(to_fractions(logits, "sigmoid"), logits.sigmoid())
    # By hand, down one path: features, not edge-on, spiral, two arms.
    path = each[:, [PLACES[answer] for answer in ("Class1.2", "Class2.2", "Class4.1", "Class11.2")]]
    np.testing.assert_allclose(along[:, PLACES["Class11.2"]], path.prod(axis=1))
    with pytest.raises(GalaxyError, match="choose one of sigmoid"):
        to_fractions(logits, "softmax")


def test_outputs_can_be_learned():
    logits = torch.randn(4, 37, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: to_fractions(x, "tree"), (logits,))


def test_rescaled_labels_sum_to_one_where_anybody_was_asked():
    labels = simulated.cast(chances(30), volunteers=20, seed=1)
    scaled = outputs.rescaled(labels)
    for question in TREE:
        asked = labels[:, zoo2.places(question)].sum(axis=1) > 0
        np.testing.assert_allclose(scaled[asked, zoo2.places(question)].sum(axis=1), 1)
        assert (scaled[~asked, zoo2.places(question)] == 0).all()


@pytest.mark.slow
def test_no_output_that_rescales_each_question_beats_the_least_error():
    labels = simulated.cast(chances(6), volunteers=20, seed=2)
    least = outputs.least_rmse_per_question(labels)
    # The nearest such outputs, found by gradient descent from many logits.
    logits = torch.zeros(6, 37, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    target = torch.from_numpy(labels)
    for _ in range(800):
        loss = ((to_fractions(logits, "question") - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert least <= loss.sqrt().item() < least * 1.03


def chances(count, seed=0):
    generator = np.random.default_rng(seed)
    return {q.number: generator.dirichlet(np.ones(len(q.answers)), count) for q in TREE}


def test_volunteers_keep_to_the_tree_and_to_their_chances():
    likely = {number: np.repeat(rows[:1], 4000, axis=0) for number, rows in chances(1).items()}
    fractions = simulated.cast(likely, volunteers=44, seed=0)
    assert np.abs(zoo2.gaps(fractions)).max() < 1e-12
    np.testing.assert_allclose(fractions * 44, np.round(fractions * 44), atol=1e-9)
    # The mean along a path is the product of the chances along it.
    spiral = PLACES["Class4.1"]
    expected = likely[1][0, 1] * likely[2][0, 1] * likely[4][0, 0]
    assert fractions[:, spiral].mean() == pytest.approx(expected, abs=0.004)
    assert (simulated.cast(likely, volunteers=44, seed=0) == fractions).all()


def truth(**columns):
    given = dict.fromkeys(simulated.NEEDED, np.nan)
    given |= {"half_light_radius": 6.0, "psf_fwhm": 1.1, "inclination": 0.0, "axis_ratio": 0.9} | columns
    return pd.DataFrame({name: np.atleast_1d(value).astype(float) for name, value in given.items()})


def chance_of(answer, name, **columns):
    question, place = (int(part) for part in answer.removeprefix("Class").split("."))
    rows = simulated.vote_chances(truth(**columns), np.array([name]))[question]
    assert rows.shape[0] == 1
    assert rows.sum() == pytest.approx(1)
    return rows[0, place - 1]


def test_votes_follow_the_truth():
    spiral = {"arm_count": 2, "arm_strength": 0.7, "arm_pitch": 12, "bulge_fraction": 0.1}
    barred, plain = (
        chance_of("Class3.1", "Barred Spiral", **spiral, bar_fraction=bar) for bar in (0.25, 0.0)
    )
    assert barred > 0.9 > 0.1 > plain
    assert chance_of("Class11.2", "Barred Spiral", **spiral) > 0.5
    assert chance_of("Class10.1", "Barred Spiral", **spiral) > 0.6
    assert chance_of("Class7.1", "Round Smooth", axis_ratio=0.95) > 0.9
    assert chance_of("Class7.3", "Cigar Shaped Smooth", axis_ratio=0.3) > 0.9
    assert chance_of("Class2.1", "Edge-on with Bulge", axis_ratio=0.12, inclination=90) > 0.9
    assert chance_of("Class8.6", "Merging", bodies=2) > 0.6
    # Far away, or badly seen, arms and features fade: the bias that grows with distance.
    near, far = (
        chance_of("Class1.2", "Barred Spiral", **spiral, half_light_radius=size) for size in (8.0, 1.5)
    )
    assert near > far + 0.3


def test_a_file_without_truth_has_no_votes(real_sample):
    with Galaxy10(real_sample) as data, pytest.raises(DataError, match="no true parameters"):
        simulated.simulated_votes(data, [0, 1])


def test_simulated_galaxies_are_voted_on(sim_file):
    with Galaxy10(sim_file) as data:
        if not set(simulated.NEEDED) <= set(data.truth):
            pytest.skip("this stand-in file has no true parameters: GalSim is not installed")
        votes = simulated.simulated_votes(data, np.arange(20))
    assert votes.simulated
    assert votes.images.shape == (20, WIDE, WIDE, 3)
    zoo2.check_fractions(votes.ids, votes.fractions, where="drawn votes")


def test_scaling_keeps_the_centre():
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[126:130, 126:130] = 255
    small = simulated.scaled(pixels, 240)
    assert small.shape == (120, 120, 3)
    assert small[59:61, 59:61].min() > 200
    assert (small == small[::-1, ::-1]).all()
    assert int(small.sum()) == pytest.approx(4 * 3 * 255, rel=0.05)


def test_from_farther_away_detail_is_lost_and_light_is_not():
    generator = np.random.default_rng(0)
    images = np.full((2, 120, 120, 3), 40.0)
    images[:, 40:80, 40:80] += 100
    images[:, 58:62] += 60  # a fine line
    images = np.clip(images + generator.normal(0, 4, images.shape), 0, 255).astype(np.uint8)
    far = simulated.receded(images, np.full(2, 1.3), distance=3.0, seed=0)
    assert far.mean() == pytest.approx(images.mean(), abs=1.0)
    step = [np.abs(np.diff(view[:, 50:70, 90:].mean(axis=(0, 2, 3)))).max() for view in (images, far)]
    assert step[1] < 0.4 * step[0]
    # The noise of the sky, over pixels three times as wide, is what it was.
    blocks = far[:, :39, :39].reshape(2, 13, 3, 13, 3, 3).mean(axis=(2, 4))
    assert blocks.std() == pytest.approx(4, rel=0.3)
    with pytest.raises(GalaxyError, match="only be put farther"):
        simulated.simulated_votes(None, [0], distance=0.5)


def blob_votes(count, seed=0):
    """Round or elongated blobs; the votes say which."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:WIDE, :WIDE] - (WIDE - 1) / 2
    ratio = generator.uniform(0.3, 1, count)
    angle = generator.uniform(0, np.pi, count)
    images = np.empty((count, WIDE, WIDE, 3), np.uint8)
    for row in range(count):
        u = x * np.cos(angle[row]) + y * np.sin(angle[row])
        v = (y * np.cos(angle[row]) - x * np.sin(angle[row])) / ratio[row]
        images[row] = (220 * np.exp(-(u**2 + v**2) / 400))[..., None]
    fractions = np.zeros((count, 37), np.float32)
    fractions[:, PLACES["Class1.1"]] = fractions[:, PLACES["Class6.2"]] = 1
    fractions[:, PLACES["Class7.1"]] = (ratio - 0.3) / 0.7
    fractions[:, PLACES["Class7.3"]] = 1 - fractions[:, PLACES["Class7.1"]]
    zoo2.check_fractions(np.arange(count), fractions, where="blobs")
    return Votes(np.arange(count), fractions, images)


def trained(votes, split, recipe, out, *, trained_on=()):
    """The network that the project's trainer makes of votes."""
    train(votes, split, recipe, out=out, task=VoteFractions(trained_on=trained_on), progress=False)
    return load_votes_network(out)


def divided(votes, count):
    """The first `count` galaxies train, the others watch."""
    rows = np.arange(len(votes))
    parts = {"train": rows[:count], "validation": rows[count:], "test": rows[:0]}
    return Split(**parts, method="held_out", seed=0, fingerprint=votes.fingerprint)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["plateau", "one_cycle"])
def test_training_beats_guessing_and_can_be_repeated(schedule, tmp_path):
    votes = blob_votes(140)
    split = divided(votes, 120)
    recipe = TAILORED_RECIPE.but(network="gz_cnn", epochs=6, batch_size=15, schedule=schedule, seed=3)
    first = trained(votes, split, recipe, tmp_path / "first")
    history = pd.read_csv(tmp_path / "first" / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert {"train_loss", "validation_rmse"} <= set(history)
    unseen = blob_votes(60, seed=2)
    predicted = predict_votes(first.network, unseen.images, "tree")
    guess = votes.fractions[:120].mean(axis=0, keepdims=True)
    assert zoo2.rmse(predicted, unseen.fractions) < 0.8 * zoo2.rmse(guess, unseen.fractions)
    again = trained(votes, split, recipe, tmp_path / "again")
    same = predict_votes(again.network, unseen.images, "tree")
    np.testing.assert_allclose(same, predicted, atol=1e-6)
    # The trainer's figure is that of the judge.
    judged = predict_votes(first.network, votes.images[120:], "tree")
    assert history["validation_rmse"].iloc[-1] == pytest.approx(
        zoo2.rmse(judged, votes.fractions[120:]), rel=0.02
    )


def test_the_fixed_fifth_is_the_test_part_and_the_others_train():
    votes = blob_votes(60)
    split = split_votes(votes, watch=True)
    assert sorted([*split.train, *split.validation, *split.test]) == list(range(60))
    held = held_out(votes.ids, near_duplicates(votes.images))
    assert split.test.tolist() == np.flatnonzero(held).tolist()
    assert len(split_votes(votes, watch=False).validation) == 0
    with pytest.raises(GalaxyError, match="too few to hold a fifth"):
        split_votes(votes.rows(np.arange(1)), watch=True)


def test_images_of_one_galaxy_are_never_parted():
    """Forty galaxies, each shown twice under two numbers; chance alone would part many."""
    once = blob_votes(40)
    images = once.images + np.random.default_rng(1).integers(0, 60, once.images.shape).astype(np.uint8)
    twice = replace(
        once,
        ids=np.concatenate([once.ids, once.ids + 5000]),
        images=np.concatenate([images, images]),
        fractions=np.concatenate([once.fractions, once.fractions]),
    )
    for seed in range(3):
        split = split_votes(twice, watch=True, seed=seed)
        for part in (split.train, split.validation, split.test):
            assert sorted(row % 40 for row in part)[::2] == sorted(row % 40 for row in part)[1::2]
        assert len(split.validation) in (8, 9, 10)


def test_the_command_line_trains_the_shipped_network_of_votes(folder, tmp_path, capsys):
    """The recipe by the name of the shipped network, for one short epoch."""
    command = ["train", "--recipe", "zoo2", "--data", str(folder), "--out", str(tmp_path / "run")]
    few = ["--network", "gz_cnn", "--epochs", "1", "--batch-size", "2", "--quiet"]
    assert main([*command, *few]) == 0, capsys.readouterr().err
    meta = load_votes_network(tmp_path / "run").meta
    assert meta["task"]["name"] == "zoo2"
    held = held_out(zoo2.read_votes(folder).ids, near_duplicates(zoo2.read_votes(folder).images))
    assert sorted(meta["task"]["trained_on"]) == sorted(zoo2.read_votes(folder).ids[~held].tolist())


def test_a_network_of_votes_is_kept_and_scored(folder, tmp_path, capsys):
    votes = zoo2.read_votes(folder)
    recipe = TAILORED_RECIPE.but(network="gz_cnn", epochs=1, batch_size=4, schedule="constant")
    seen = tuple(votes.ids[:4].tolist())
    trained(votes, divided(votes, 6), recipe, tmp_path / "kept", trained_on=seen)
    command = ["evaluate", "--task", "zoo2", "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--checkpoint", str(tmp_path / "kept")]) == 0
    told = capsys.readouterr()
    assert "6 galaxies: root mean square error" in told.out
    assert "trained on 4 of these" in told.err
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    ids, written = zoo2.read_solutions(tmp_path / "out" / "predictions.csv")
    assert ids.tolist() == votes.ids.tolist()
    # Recomputed from the two tables that a judge has.
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((written - votes.fractions) ** 2)), abs=1e-5)
    guess = votes.fractions.mean(axis=0)
    assert found["rmse_mean_guess"] == pytest.approx(np.sqrt(np.mean((guess - votes.fractions) ** 2)))
    assert (found["n_trained_on"], found["unseen"]["n"]) == (4, 2)
    unseen = np.sqrt(np.mean((written[4:] - votes.fractions[4:]) ** 2))
    assert found["unseen"]["rmse"] == pytest.approx(unseen, abs=1e-5)


def test_a_checkpoint_of_other_outputs_is_refused(folder, tmp_path, capsys):
    network = build("gz_cnn", classes=10)
    checkpoint.save(
        tmp_path / "ten",
        network,
        name="gz_cnn",
        options={"classes": 10},
        preprocess=outputs.PREPROCESS,
        class_names=CLASS_NAMES,
    )
    command = ["evaluate", "--task", "zoo2", "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--checkpoint", str(tmp_path / "ten")]) == 1
    assert "not of Galaxy Zoo's votes" in capsys.readouterr().err
    assert main([*command, "--checkpoint", str(tmp_path / "none")]) == 1
    assert "There is no checkpoint folder" in capsys.readouterr().err


def test_averaging_over_symmetries_makes_the_answer_symmetric():
    torch.manual_seed(0)
    network = build("gz_cnn", classes=37)
    images = blob_votes(3).images
    turned = np.ascontiguousarray(np.rot90(images, axes=(1, 2)))
    one = predict_votes(network, images, "tree", symmetries=True)
    np.testing.assert_allclose(one, predict_votes(network, turned, "tree", symmetries=True), atol=5e-3)
    assert np.abs(zoo2.gaps(one)).max() < 1e-3


def test_top_in_top_by_hand():
    observed = np.zeros((6, 37))
    observed[:, 0] = [0.9, 0.8, 0.7, 0.2, 0.1, 0.0]
    predicted = np.zeros((6, 37))
    predicted[:, 0] = [0.1, 0.9, 0.2, 0.8, 0.0, 0.7]
    # The three favourites are rows 1, 3, 5, which truly stand second, fourth and last.
    assert outputs.top_in_top(predicted, observed, top=3, within=2)[0] == 1
    assert outputs.top_in_top(predicted, observed, top=3, within=4)[0] == 2
    assert len(outputs.top_in_top(predicted, observed)) == len(ANSWERS)


def test_a_wrong_rule_is_told(tmp_path):
    with pytest.raises(GalaxyError, match="choose one of sigmoid"):
        VoteFractions("softmax")
    votes = blob_votes(2).rows(np.zeros(2, bool))
    with pytest.raises(DataError, match="give more galaxies"):
        trained(votes, divided(votes, 0), TAILORED_RECIPE, tmp_path / "none")


@pytest.mark.slow
def test_the_network_that_comes_with_the_book_holds_on_real_galaxies_it_never_saw():
    loaded = load_votes_network("pretrained")
    votes = zoo2.read_votes(shared_data("gz2"))
    held = held_out(votes.ids, near_duplicates(votes.images))
    assert not np.isin(votes.ids[held], loaded.meta["task"]["trained_on"]).any()
    test = votes.rows(held)
    found = zoo2.rmse(predict_votes(loaded.network, test.images, loaded.meta["task"]["rule"]), test.fractions)
    guess = votes.fractions[~held].mean(axis=0, keepdims=True)
    assert zoo2.rmse(guess, test.fractions) > 0.16
    assert found <= 0.11
    assert found == pytest.approx(loaded.meta["results"]["held_out"]["rmse"], abs=5e-4)


def test_the_weights_that_come_with_the_book_are_small_and_whole():
    files = [path for path in PRETRAINED.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6
    assert load_votes_network("pretrained").class_names == ANSWERS
