"""How much longer the whole image takes: the mean over rounds with its interval, and which passes count."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from benchmarks import crop


def test_the_ratio_and_its_interval_are_those_of_a_t_test_of_logarithms():
    pairs = [{"centre": 1.0, "whole": 4.1}, {"centre": 2.0, "whole": 7.7}, {"centre": 1.5, "whole": 6.6}]
    found = crop.ratio_of(pairs)
    known = ttest_1samp(np.log([4.1, 3.85, 4.4]), 0)
    ends = np.exp([known.confidence_interval().low, known.confidence_interval().high])
    assert found["ratio"] == pytest.approx((4.1 * 3.85 * 4.4) ** (1 / 3), abs=1e-3)
    assert (found["ratio_low"], found["ratio_high"]) == pytest.approx(tuple(ends), abs=1e-3)


def test_all_passes_but_the_first_count(monkeypatch):
    class Trained:
        history = pd.DataFrame({"seconds": [9.0, 2.0, 4.0]})

    seen = {}

    def run_trial(trial, images):
        seen[trial.recipe.size] = images.images.shape
        return Trained()

    monkeypatch.setattr(crop, "run_trial", run_trial)
    plans = crop.planned(epochs=3, batch_size=32, five_size=64, seed=0)
    assert [crop.seconds(plans[title], images=20) for title in crop.TITLES.values()] == [3.0, 3.0]
    assert seen == {128: (20, 128, 128, 3), 256: (20, 256, 256, 3)}
