"""What the chapter on votes reports for the ledger: the recipes of its run, and a paired mean."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from galaxylib.paper.vote_networks import paired_mean, planned, recipes_of


def test_the_recipes_are_those_of_the_run():
    found = recipes_of(planned(epochs=(3, 1, 2), cnn_batch=32, schedule="one_cycle", seed=0))
    assert [found[name]["epochs"] for name in ("cnn", "resnet", "tailored")] == [3, 1, 2]
    assert (found["cnn"]["batch_size"], found["tailored"]["schedule"]) == (32, "one_cycle")
    assert (found["resnet"]["augment"], found["tailored"]["augment"]) == (False, True)
    assert found["modifications"] == "data augmentation, learning rate scheduling, weight rescaling"


def test_a_schedule_that_both_have_is_no_modification():
    found = recipes_of(planned(epochs=(3, 1, 2), cnn_batch=32, schedule="constant", seed=0))
    assert found["modifications"] == "data augmentation, weight rescaling"


def test_paired_mean_as_scipy():
    """The paired t test's interval of the mean, at the normal's width instead of Student's."""
    first, second = np.random.default_rng(0).normal(size=(2, 400))
    found = paired_mean(first, second)
    tested = ttest_rel(first, second)
    error = found["mean"] / tested.statistic
    assert found["mean"] == pytest.approx(first.mean() - second.mean())
    half = norm.ppf(0.975) * error
    assert (found["low"], found["high"]) == pytest.approx(
        (found["mean"] - half, found["mean"] + half), rel=1e-4
    )
