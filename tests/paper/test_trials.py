"""The small experiments: what is changed is what is said, and the hierarchy's arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.in_memory import InMemory, shrunk
from galaxylib.errors import DataError, GalaxyError
from galaxylib.paper import experiments, hierarchy, trials
from galaxylib.paper.hierarchy import HIERARCHY, Fork
from galaxylib.paper.trials import Trial, run_trial

pytestmark = pytest.mark.slow

SMALL = Trial().but(
    network="convnet",
    options={"blocks": 2, "hidden": 16, "side": 69},
    size=69,
    crop=256,
    batch_size=8,
    epochs=3,
)
TWO = ("dark", "bright")


def bright_or_dark(count, seed=0):
    """Two classes told apart by the place of a bar of light."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    pixels = generator.integers(30, 50, (count, 69, 69, 3), np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 30:39, :, 0] = 40 if label else 200
        pixels[row, 30:39, :, 2] = 200 if label else 40
    return InMemory(pixels, labels)


@pytest.mark.parametrize(
    "change", [{}, {"optimizer": "rmsprop"}, {"quarter_turns": False, "flip": 0.5, "weighted": True}]
)
def test_a_trial_learns_and_can_be_repeated(change):
    trial = SMALL.but(**change)
    train, unseen = bright_or_dark(96), bright_or_dark(40, seed=1)
    result = run_trial(trial, train, class_names=TWO, watch={"unseen": unseen})
    assert result.history["unseen"].iloc[-1] > 0.9
    assert result.history["epoch"].tolist() == [1, 2, 3]
    again = run_trial(trial, train, class_names=TWO)
    found = [trials.probabilities(one.network, unseen) for one in (result, again)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)  # watching changes nothing


def test_class_weights_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2])
    weights = Trial(weighted=True).task(labels, "abcd").weights
    assert weights.tolist() == pytest.approx([6 / 12, 6 / 4, 6 / 8, 0])


def test_emphasis_multiplies_the_loss_of_its_class_alone():
    """With one class's factor at nothing, its galaxies teach nothing: the network never names it."""
    train = bright_or_dark(64)
    deaf = run_trial(SMALL.but(epochs=2, emphasis={1: 0.0}), train, class_names=TWO)
    assert trials.probabilities(deaf.network, train).argmax(axis=1).max() == 0
    figures = ["train_loss", "train_accuracy", "learning_rate"]
    plain, one = (
        run_trial(SMALL.but(epochs=1, emphasis=e), train, class_names=TWO).history[figures]
        for e in ({}, {0: 1.0})
    )
    assert plain.equals(one)


def test_stages_stop_by_patience_and_go_on_from_the_last_weights():
    train, unseen = bright_or_dark(48), bright_or_dark(24, seed=1)
    trial = SMALL.but(epochs=12, more_epochs=12, patience=2, best_by="accuracy", more_learning_rate=1e-12)
    result = run_trial(trial, train, class_names=TWO, validation=unseen, watch={"unseen": unseen})
    first, second = (result.history[result.history["round"] == number] for number in (1, 2))
    curve = first["validation_accuracy"].to_list()
    assert len(curve) == curve.index(max(curve)) + 3 <= 12
    assert curve == pytest.approx(first["unseen"].to_list())  # what decides is what is watched
    # A rate of next to nothing leaves the weights: the second stage shows where the first ended, and stops.
    assert second["unseen"].to_list() == [curve[-1]] * 3
    assert result.first is not result.network
    rows = experiments.stage_rows(
        run_trial(
            trial.but(epochs=2, more_epochs=1),
            train,
            class_names=TWO,
            validation=unseen,
            watch={"train": train, "test": unseen},
        ),
        unseen,
    )
    assert [row["epochs"] for row in rows] == [2, 1]
    assert rows[0]["change"] == 0
    with pytest.raises(DataError, match="at least 2 and 1"):
        run_trial(trial, train, class_names=TWO)


def test_smoothing_is_scipys():
    generator = np.random.default_rng(0)
    images = generator.integers(60, 200, (2, 40, 40, 3), np.uint8)
    expected = gaussian_filter(images.astype(float), (0, 1.5, 1.5, 0), mode="mirror", radius=(0, 4, 4, 0))
    np.testing.assert_allclose(shrunk(images, size=40, crop=40, blur=1.5), expected, atol=0.51)


def test_images_are_cropped_and_resized(blob_file):
    with Galaxy10(blob_file) as data:
        images = SMALL.but(crop=128, size=64).read(data, [3, 1])
        plain = data.read([3, 1])[:, 64:192, 64:192]
        assert images.labels.tolist() == data.labels[[3, 1]].tolist()
        same = SMALL.but(crop=128, size=128).read(data, [3, 1])
        views = experiments.Views(data, {"train": [3, 1], "test": [0]})
        assert views.of(SMALL) is views.of(SMALL.but(seed=5))
        assert views.of(SMALL) is not views.of(SMALL.but(crop=128))
    assert images.images.shape == (2, 64, 64, 3)
    assert (same.images == plain).all()
    assert same.fingerprint != images.fingerprint


def test_the_hierarchy_reaches_every_class_once():
    assert sorted(hierarchy.classes_of(HIERARCHY)) == list(range(10))
    assert len(hierarchy.forks(HIERARCHY)) == 9
    smooth = {CLASS_NAMES[place] for place in hierarchy.classes_of(HIERARCHY.yes)}
    assert smooth == {"Round Smooth", "In-between Round Smooth", "Cigar Shaped Smooth"}


def test_relabelling_keeps_the_pixels_with_their_labels():
    pixels = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    images = InMemory(pixels, np.arange(10)).relabelled([[9], [8, 0]])
    assert images.images[:, 0, 0, 0].tolist() == [0, 8, 9]
    assert images.labels.tolist() == [1, 1, 0]


def test_the_hierarchys_probabilities_are_products(monkeypatch):
    answers = {"first?": [0.8, 0.2], "second?": [0.3, 0.7]}
    root = Fork("first?", 0, Fork("second?", 1, 2))
    results = {name: trials.Result(torch.nn.Identity(), None, 0.0) for name in answers}
    order = {id(result.network): name for name, result in results.items()}
    monkeypatch.setattr(
        hierarchy,
        "probabilities",
        lambda network, images: np.repeat([answers[order[id(network)]]], len(images.labels), axis=0),
    )
    images = InMemory(np.zeros((5, 4, 4, 3), np.uint8), np.zeros(5, np.int64))
    found = hierarchy.hierarchy_probabilities(results, images, root=root)
    np.testing.assert_allclose(found[0, :3], [0.8, 0.2 * 0.3, 0.2 * 0.7])
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_hierarchy_is_trained_fork_by_fork():
    train = bright_or_dark(40)
    root = Fork("dark?", 1, 0)
    results = hierarchy.run_hierarchy(SMALL.but(epochs=2), train, root=root)
    found = hierarchy.hierarchy_probabilities(results, train, root=root)
    assert trials.accuracy(found, train.labels) > 0.9


SEVERAL = {
    "the whole 256 pixels": {"crop", "size", "options"},  # another crop at the same scale
    "the central 64 pixels": {"crop", "size"},
    "a quarter of the batch at half the rate": {"batch_size", "learning_rate"},
}
"""What an experiment changes that cannot change one setting alone."""


def test_every_planned_experiment_changes_one_thing():
    plans = experiments.planned(epochs=2, batch_size=32, five_size=64, seed=0)
    assert set(SEVERAL) < set(plans)
    for network, title in experiments.BASES.items():
        base = plans[title]
        for name, plan in plans.items():
            if plan.recipe.network != network or name == title:
                continue
            recipes = base.recipe.to_dict(), plan.recipe.to_dict()
            changed = [key for key in recipes[0] if recipes[0][key] != recipes[1][key]]
            changed += [key for key in ("blur", "weighted") if getattr(base, key) != getattr(plan, key)]
            assert set(changed) == SEVERAL.get(name, set(changed)), name
            assert len(changed) == len(SEVERAL.get(name, "1")), (name, changed)


def test_another_crop_keeps_the_scale():
    plans = experiments.planned(epochs=2, batch_size=32, five_size=64, seed=0)
    for name, network in ((experiments.WHOLE_IMAGE, "convnet"), ("the central 64 pixels", "five_block")):
        base, plan = plans[experiments.BASES[network]].recipe, plans[name].recipe
        assert plan.crop / plan.size == base.crop / base.size
    too_small = experiments.planned(epochs=2, batch_size=32, five_size=32, seed=0)
    assert "the central 64 pixels" not in too_small


def test_changes_are_taken_against_the_first_line_of_the_network():
    plans = experiments.planned(epochs=1, batch_size=4, five_size=32, seed=0)
    right = {title: np.arange(100) < 50 for title in plans}
    right["RMSprop"] = np.arange(100) < 40
    right[experiments.OTHER_SEEDS["convnet"]] = np.arange(100) < 47
    table = experiments.changes(plans, right)
    assert table.loc["RMSprop", "change"] == pytest.approx(-0.10)
    # Ten galaxies that only the first has right: twice 2^-10.
    assert table.loc["RMSprop", "p"] == pytest.approx(2 * 0.5**10)
    assert table.loc["RMSprop", "scatter"] == pytest.approx(0.03)
    assert table.loc["plain loss", "scatter"] == 0
    shown = experiments.shown_changes(table)
    assert shown.loc["RMSprop", "change, points"] == "-10.0"
    assert shown.loc[experiments.BASES["convnet"], "change, points"] == ""


def test_experiments_are_chosen_by_their_titles():
    plans = experiments.planned(epochs=1, batch_size=4, five_size=32, seed=0)
    least = experiments.chosen_experiments(plans, " ")
    assert set(least) == set(experiments.ALWAYS)
    more = experiments.chosen_experiments(plans, "RMSprop, nine networks of two answers")
    assert set(more) - set(least) == {"RMSprop", experiments.HIERARCHY_OF_NINE}
    everything = experiments.chosen_experiments(plans, "all")
    assert [title for title in everything if title in plans] == list(plans)
    with pytest.raises(GalaxyError, match=r"no experiment 'rmsprop'.*RMSprop"):
        experiments.chosen_experiments(plans, "rmsprop")


def test_doubled_weight_is_measured_against_a_second_training(monkeypatch):
    answers = {"plain": [1, 1, 0, 0], "again": [1, 0, 0, 0], "double": [1, 1, 1, 0]}

    def trained(plan, images):
        name = "double" if plan.emphasis else ("plain" if plan.recipe.seed == 4 else "again")
        return experiments.Result(name, None, 0.0)

    monkeypatch.setattr(experiments, "run_trial", trained)
    labels = np.array([2, 2, 2, 2, 0])
    last = {"plain": 1, "again": 1, "double": 0}
    right = {name: np.eye(3)[np.where([*hits, last[name]], labels, 1)] for name, hits in answers.items()}
    monkeypatch.setattr(experiments, "probabilities", lambda network, test: right[network])
    sets = {"train": None, "test": SimpleNamespace(labels=labels)}
    weak, everything = rows = experiments.weak_doubled(trials.Trial(), sets, [2], seed=4)
    assert (weak["galaxies"], weak["change"], weak["scatter"]) == (4, 0.25, 0.25)
    assert (everything["galaxies"], everything["change"], everything["scatter"]) == pytest.approx((5, 0, 0.2))
    assert "+25.0 points" in experiments.weak_in_words(rows)
    assert experiments.weak_in_words([]) == ""


def test_the_weakest_classes_have_the_lowest_recall():
    labels = np.repeat([0, 1, 2, 3], 4)
    found = np.eye(4)[labels]
    found[4:8] = np.eye(4)[0]  # class 1 is never named
    found[8] = np.eye(4)[0]
    assert experiments.weakest(found, labels, count=2) == [1, 2]
    told = experiments.recalls(found, labels, "abcde")
    assert told == {"a": 1.0, "b": 0.0, "c": 0.75, "d": 1.0, "e": None}


def test_wrong_settings_are_told():
    with pytest.raises(GalaxyError, match="choose one of adamw, adam, rmsprop"):
        Trial().but(optimizer="sgd")
    with pytest.raises(DataError, match="at least 2"):
        run_trial(SMALL, bright_or_dark(1), class_names=TWO)
