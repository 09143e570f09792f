"""The side-by-side comparison: budgets, the paired test, and the three readings of precision and recall."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import f1_score

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.data.splits import make_split
from galaxylib.dream import Settings, dream, logit
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.intervals import wilson
from galaxylib.networks.registry import build
from galaxylib.paper import comparison
from galaxylib.paper.comparison import (
    Outcome,
    contend,
    mcnemar,
    recipe_for,
    results_table,
    summarised,
    three_ways,
)
from galaxylib.training.recipes import QUICK

NAMES = list(CLASS_NAMES[:3])


def predictions(probabilities, true):
    table = pd.DataFrame(np.asarray(probabilities, float), columns=NAMES)
    table.insert(0, "true", [NAMES[place] for place in true])
    table.insert(0, "row", range(len(true)))
    return table


def test_mcnemar_is_the_binomial_tail_summed_by_hand():
    first = np.array([True] * 9 + [False] * 2 + [True] * 20 + [False] * 5)
    second = np.array([False] * 9 + [True] * 2 + [True] * 20 + [False] * 5)
    found = mcnemar(first, second)
    tail = 2 * sum(binom.pmf(k, 11, 0.5) for k in range(3))
    assert (found["only_first"], found["only_second"]) == (9, 2)
    assert found["p"] == pytest.approx(tail)
    assert mcnemar(second, first)["p"] == pytest.approx(tail)
    assert mcnemar(first, first)["p"] == 1.0
    with pytest.raises(GalaxyError, match="same galaxies"):
        mcnemar(first, second[1:])


def test_the_three_ways_on_a_table_small_enough_to_count():
    table = predictions(
        [[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.45, 0.45]],
        [0, 0, 1, 1, 2],
    )
    ways = three_ways(table)
    # Right at the arg-max: rows 0, 1, 2; a tie (row 4) goes to the first class.
    assert ways.loc["arg-max, micro"].tolist() == pytest.approx([0.6] * 3)
    # Claimed at 0.5: rows 0, 2 rightly and row 3 wrongly, of five.
    assert ways.loc["each class at 0.5", ["precision", "recall"]].tolist() == pytest.approx([2 / 3, 2 / 5])
    macro = f1_score([0, 0, 1, 1, 2], [0, 0, 1, 0, 1], average="macro")
    assert ways.loc["arg-max, macro", "f1"] == pytest.approx(macro)


def test_micro_precision_and_recall_are_the_accuracy_whatever_the_table():
    generator = np.random.default_rng(3)
    table = predictions(generator.dirichlet(np.ones(3), 200), generator.integers(0, 3, 200))
    accuracy = comparison.right(table).mean()
    ways = three_ways(table)
    assert ways.loc["arg-max, micro"].tolist() == pytest.approx([accuracy] * 3)
    half = ways.loc["each class at 0.5"]
    assert half["recall"] <= accuracy + 1e-12


def test_each_network_reads_what_its_source_prescribes():
    recipe = recipe_for("kim_brunner", QUICK, largest=96)
    assert (recipe.size, recipe.crop) == (44, 132)
    assert recipe_for("dmagnet", QUICK, largest=96).size == 96
    assert recipe_for("dmagnet", QUICK, largest=512).size == 256
    assert recipe_for("convnet", QUICK, largest=32).size == 128
    assert recipe_for("alexnet", QUICK, largest=32).size == 64
    assert recipe_for("alexnet", QUICK, largest=96).batch_size == 4 * QUICK.batch_size


def test_intervals_over_seeds_are_students():
    assert summarised([0.7], (0.6, 0.8)) == (0.7, 0.6, 0.8)
    assert summarised([0.1, 0.9], (0, 1)) == (0.5, 0.0, 1.0)
    mean, low, high = summarised([0.70, 0.72, 0.74], (0, 1))
    # t(0.975, 2) = 4.303 from a printed table; the deviation is 0.02.
    assert mean == pytest.approx(0.72)
    assert (high - low) / 2 == pytest.approx(4.303 * 0.02 / np.sqrt(3), rel=1e-3)


def test_a_table_over_seeds_holds_means_and_the_scatter_of_trainings():
    """Two trainings that are right about 70 and 72 of 100 galaxies: mean 0.71, Student's interval of two."""
    sure = np.eye(3)
    true = [row % 3 for row in range(100)]
    runs = []
    for wrong, seconds in ((30, 10.0), (28, 20.0)):
        named = [(label + 1) % 3 if row < wrong else label for row, label in enumerate(true)]
        summary = {"parameters": 5, "images_per_second": 1000 / seconds, "seconds": seconds}
        runs.append(Outcome("negm", "Negm", summary, predictions(sure[named], true), 2_000_000, 50.0, QUICK))
    table = results_table({"negm": runs, "once": runs[:1]}, resamples=50)
    row = table.loc["negm"]
    assert (row["accuracy"], row["seconds"], row["MFLOP"]) == pytest.approx((0.71, 15.0, 2.0))
    # t(0.975, 1) = 12.706 from a printed table; 0.70 and 0.72 have the deviation 0.01 x sqrt(2).
    assert row["accuracy_high"] - row["accuracy"] == pytest.approx(12.706 * 0.01, rel=1e-3)
    assert row["accuracy"] - row["accuracy_low"] == pytest.approx(12.706 * 0.01, rel=1e-3)
    assert row["macro_f1_low"] < row["macro_f1"] < row["macro_f1_high"]
    # One training: the interval of its test galaxies, Wilson's for 70 of 100.
    assert tuple(table.loc["once", ["accuracy_low", "accuracy_high"]]) == pytest.approx(wilson(70, 100))


class OwnNetwork(torch.nn.Module):
    """A reader's own network."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.see = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.ReLU())
        self.judge = torch.nn.Linear(4, classes)

    def forward(self, x):
        return self.judge(self.see(x).mean((2, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"{__name__}:OwnNetwork", "mobilenetv3_small_050"])
def test_a_readers_own_network_enters_the_table_and_the_dreams(name, blob_file, tmp_path):
    with Galaxy10(blob_file) as data:
        split = make_split(data, fractions=(0.5, 0.2, 0.3))
        recipe = recipe_for(name, QUICK.but(epochs=1, batch_size=8), largest=32)
        outcome = contend(data, split, recipe, folder=tmp_path)
    row = results_table({name: [outcome]}, resamples=20).loc[name]
    assert row["parameters"] == sum(weight.numel() for weight in build(name).parameters())
    assert recipe.size == 32
    small = Settings(sizes=(32,), steps=(2,), rates=(0.01,), jitter=(0,), levels=1)
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    made = dream(build(name).eval(), image, logit(3), settings=small, preprocess=Preprocess(size=32))
    assert made.pixels.shape == (32, 32, 3)


@pytest.mark.slow
def test_two_networks_contend_on_the_same_galaxies(blob_file, tmp_path):
    with Galaxy10(blob_file) as data:
        split = make_split(data, fractions=(0.5, 0.2, 0.3))
        base = QUICK.but(epochs=1, batch_size=8, width=0.125)
        recipes = [recipe_for(name, base, largest=32) for name in ("dmagnet", "kim_brunner")]
        outcomes = [contend(data, split, recipe, folder=tmp_path) for recipe in recipes]
    first, second = outcomes
    assert first.predictions["row"].tolist() == second.predictions["row"].tolist() == split.test.tolist()
    assert second.summary["parameters"] == 11_245_546
    assert first.title == "DMAGNet"
    assert min(first.flop, first.speed) > 0
    assert not list(tmp_path.iterdir())
