"""The area under the curve is scikit-learn's, and drawn cutouts get scores from the checkpoint's judge."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.evaluation.calibrating import calibrated
from galaxylib.evaluation.intervals import wilson
from galaxylib.networks.checkpoint import load
from galaxylib.paper.unlike_kinds import KINDS, area_under_curve, unlike_scores, unlike_table


def test_the_area_is_that_of_scikit_learn_and_its_interval_covers_it():
    generator = np.random.default_rng(0)
    galaxies, others = generator.normal(size=90).round(1), generator.normal(1, 1, 60).round(1)
    area, (low, high) = area_under_curve(galaxies, others)
    truth = np.r_[np.zeros(90), np.ones(60)]
    assert area == pytest.approx(roc_auc_score(truth, np.r_[galaxies, others]))
    assert low < area < high
    # Hanley & McNeil (1982), Radiology 143, 29: the standard error of an area.
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = np.sqrt((area * (1 - area) + 59 * (q1 - area**2) + 89 * (q2 - area**2)) / (60 * 90))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)


def test_the_table_names_each_kind_once():
    table = unlike_table(np.array([0.5, 0.8, 1.2, 0.7]), {"star": np.array([1.1, 0.9, 2.0])}, resamples=20)
    assert list(table.index) == ["galaxy", "star"]
    assert table.loc["galaxy", ["n", "above"]].tolist() == [4, 0.25]
    assert np.isnan(table.loc["galaxy", "area"])
    assert table.loc["star", "above_interval"] == wilson(2, 3)
    assert table.loc["star", "area"] == pytest.approx(10 / 12)


def test_drawn_cutouts_are_scored_by_the_checkpoint(tiny_checkpoint, blob_file):
    pytest.importorskip("galsim")
    loaded = load(tiny_checkpoint)
    small = replace(loaded, preprocess=replace(loaded.preprocess, size=64))
    measured = calibrated(small, Galaxy10(blob_file), np.arange(40))
    images, scores = unlike_scores(measured, count=4, seed=0)
    assert list(images) == list(scores) == list(KINDS)
    for name in KINDS:
        assert images[name].shape == (4, 256, 256, 3)
        assert scores[name].shape == (4,)
        assert (scores[name] > 0).all()
    assert (images["star"] != images["empty sky"]).any()
