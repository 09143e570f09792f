"""The volunteers' means are those of the tree, and the bootstrap of rank correlations is SciPy's."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.concepts_real import QUESTIONS, compared, spearman_draws
from galaxylib.votes.zoo2 import ANSWERS, PLACES, TREE


def test_questions_are_of_one_question_of_the_tree_and_of_its_parent():
    for question in QUESTIONS:
        assert set(question.weights) <= set(ANSWERS)
        (asked,) = {column.split(".")[0] for column in question.weights}
        node = next(one for one in TREE if f"Class{one.number}" == asked)
        assert question.of == (node.parent or "")


def test_means_are_over_those_who_answered():
    votes = np.zeros((3, 37))
    votes[:, PLACES["Class4.1"]] = [0.8, 0.4, 0.8]
    for column, shares in {
        "Class10.1": (0.2, 0.4, 0),
        "Class10.2": (0.2, 0, 0),
        "Class10.3": (0.4, 0, 0),
    }.items():
        votes[:, PLACES[column]] = shares
    winding = next(one for one in QUESTIONS if one.parameter == "arm_pitch")
    mean, asked = winding.fractions(votes)
    assert mean[0] == pytest.approx((0.5 * 0.2 + 0.4) / 0.8)
    assert asked.tolist() == [True, False, False]  # the second went to few, the third was not answered


def test_draws_are_rank_correlations_of_the_rows_drawn():
    generator = np.random.default_rng(0)
    readings, wanted = generator.normal(size=(2, 40)), generator.integers(0, 5, 40).astype(float)
    rows = generator.integers(0, 40, (7, 40))
    found = spearman_draws(readings, wanted, rows)
    for one, reading in zip(found, readings, strict=True):
        for value, drawn in zip(one, rows, strict=True):
            assert value == pytest.approx(spearmanr(reading[drawn], wanted[drawn]).statistic)


@pytest.mark.slow
def test_what_random_weights_do_as_well_does_not_carry_over():
    generator = np.random.default_rng(1)
    wanted = generator.normal(size=150)
    good, other = wanted + generator.normal(size=150), -wanted + generator.normal(size=150)
    noise = generator.normal(size=(3, 150))
    found = compared(good, noise, wanted, sign=1, tests=10)
    assert found["carries_over"]
    assert found["rho"] == pytest.approx(spearmanr(good, wanted).statistic)
    assert found["corrected_low"] < found["low"] < found["rho"] < found["high"]
    assert compared(other, noise, wanted, sign=-1, tests=10)["carries_over"]
    assert not compared(other, noise, wanted, sign=1, tests=10)["carries_over"]
    assert not compared(good, [good + 1e-3 * noise[0], *noise[1:]], wanted, sign=1, tests=10)["carries_over"]
