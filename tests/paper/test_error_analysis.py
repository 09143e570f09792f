"""Accuracy against what is known of each galaxy, by naive counting."""

import numpy as np
import pandas as pd
import pytest

from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.predictions import confusion
from galaxylib.paper.error_analysis import (
    accuracy_against,
    confident_mistakes,
    signal_to_noise,
    worst_confusions,
)


def judged(truth: list[str], guess: list[str], probability: list[float]) -> pd.DataFrame:
    """A table of predictions over three classes."""
    names = ["A", "B", "C"]
    lines = []
    for number, (true, name, p) in enumerate(zip(truth, guess, probability, strict=True)):
        lines.append(
            {"row": 100 + number, "true": true} | {n: p if n == name else (1 - p) / 2 for n in names}
        )
    return pd.DataFrame(lines)


@pytest.fixture
def table():
    return judged(list("AAAABBBBCC"), list("AAABBBCCCC"), [0.9, 0.8, 0.7, 0.95, 0.6, 0.7, 0.5, 0.8, 0.9, 0.9])


def test_bins_hold_equally_many_and_count_right(table):
    values = np.array([5, 1, 3, np.nan, 2, 4, 6, 8, 7, np.nan])
    found = accuracy_against(table, values, bins=2)
    assert found["n"].tolist() == [4, 4]
    # Values 1 to 4 are rows 1, 4, 2, 5, all right; 5 to 8 are rows 0, 6, 8, 7, two of them right.
    assert found["accuracy"].tolist() == [1.0, 0.5]
    assert found[["low", "high", "middle"]].to_numpy().tolist() == [[1, 4, 2.5], [5, 8, 6.5]]
    assert tuple(found.loc[1, ["accuracy_low", "accuracy_high"]]) == wilson(2, 4)


def test_repeated_and_unknown_values(table):
    same = accuracy_against(table, np.full(10, 90.0))
    assert same[["low", "high", "n", "accuracy"]].to_numpy().tolist() == [[90, 90, 10, 0.7]]
    assert accuracy_against(table, np.full(10, np.nan)).empty
    tilted = accuracy_against(table, np.array([10, 20, 30, 90, 90, 90, 90, 90, 90, 90.0]), bins=4)
    assert tilted["n"].sum() == 10
    assert tilted["high"].is_monotonic_increasing


def test_mistakes_are_sorted_by_confidence(table):
    found = confident_mistakes(table, count=2)
    assert found.to_numpy().tolist() == [[103, "A", "B", 0.95], [107, "B", "C", 0.8]]
    assert len(confident_mistakes(table, count=50)) == 3
    right = judged(["A", "B"], ["A", "B"], [0.9, 0.9])
    assert confident_mistakes(right, count=3).empty
    assert worst_confusions(confusion(right), count=3).empty


def test_confusions_are_sorted_by_their_share(table):
    found = worst_confusions(confusion(table), count=5)
    assert found.to_numpy().tolist() == [["B", "C", 2, 0.5], ["A", "B", 1, 0.25]]


def test_signal_to_noise_by_hand():
    """A galaxy of magnitude 17.5 has 100 nanomaggies; a radius of ten pixels holds 314 pixels."""
    truth = pd.DataFrame({"magnitude": [17.5], "half_light_radius": [2.62], "sky_sigma": [0.01]})
    assert signal_to_noise(truth)[0] == pytest.approx(50 / (0.01 * np.sqrt(np.pi * 100)))
