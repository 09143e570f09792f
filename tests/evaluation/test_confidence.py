"""Temperatures, risk and coverage agree with plain formulas; a calibrated checkpoint says so everywhere."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.errors import DataError, GalaxyError
from galaxylib.evaluation.calibrating import calibrated
from galaxylib.evaluation.calibration import (
    apply_temperature,
    calibration,
    cross_entropy,
    fit_temperature,
    risk_coverage,
    temperature_from_agreement,
)
from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.judge import judge_rows
from galaxylib.evaluation.judgement import judge_with
from galaxylib.evaluation.predictions import UNLIKE, class_columns, predict, scores, write_evaluation
from galaxylib.evaluation.unlike import Reference
from galaxylib.networks.checkpoint import load


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def guesses(count, *, seed=0, classes=10):
    """Honest probabilities, and labels drawn from them."""
    generator = np.random.default_rng(seed)
    honest = softmax(2 * generator.normal(size=(count, classes)))
    return honest, np.array([generator.choice(classes, p=row) for row in honest])


def test_a_temperature_is_found_again_from_labels_and_from_votes():
    honest, truth = guesses(3000)
    sharp = apply_temperature(honest, 1 / 2.5)
    assert fit_temperature(sharp, truth) == pytest.approx(2.5, rel=0.06)
    # Of the honest probabilities themselves, no noise of drawn labels is left.
    assert fit_temperature(sharp, honest) == pytest.approx(2.5, rel=1e-3)
    votes = np.stack([np.random.default_rng(row).multinomial(30, p) for row, p in enumerate(honest)]) / 30
    found = fit_temperature(sharp, votes)
    assert found == pytest.approx(2.5, rel=0.03)
    # Another optimiser, on the logits.
    plain = minimize(
        lambda t: cross_entropy(softmax(np.log(sharp) / np.exp(t[0])), votes), [0.0], method="Nelder-Mead"
    )
    assert np.log(found) == pytest.approx(plain.x[0], abs=1e-3)
    assert fit_temperature(sharp, np.eye(10)[truth]) == fit_temperature(sharp, truth)


def test_every_source_counts_alike_however_many_galaxies_it_has():
    (one, first), (other, second) = guesses(3000, seed=1), guesses(300, seed=2)
    one, other = apply_temperature(one, 1 / 2), apply_temperature(other, 1 / 4)
    both = fit_temperature([one, other], [first, second])
    whole = [np.concatenate(pair) for pair in ([one, *[other] * 10], [first, *[second] * 10])]
    assert both == pytest.approx(fit_temperature(*whole), rel=1e-3)
    assert 2 < both < 4
    assert both > 1.2 * fit_temperature(np.concatenate([one, other]), np.concatenate([first, second]))


def test_targets_that_do_not_fit_are_told():
    honest, truth = guesses(20)
    for targets in (truth[:-1], truth + 1, truth / 2, honest * 2, honest[:, :3], -honest):
        with pytest.raises(GalaxyError, match="do not fit"):
            fit_temperature(honest, targets)
    with pytest.raises(GalaxyError, match="no galaxy"):
        fit_temperature(honest[:0], truth[:0])
    with pytest.raises(GalaxyError, match="2 sources of probabilities and 1 of targets"):
        fit_temperature([honest, honest], [truth])


def test_agreement_gives_the_temperature_without_any_label():
    """Labels and answers are draws from the same distribution, image by image: so agreement is accuracy."""
    generator = np.random.default_rng(3)
    honest, truth = guesses(6000, seed=4, classes=4)
    networks = []
    for _ in range(3):
        answers = np.array([generator.choice(4, p=row) for row in honest])
        networks.append(softmax(5 * np.eye(4)[answers] + generator.normal(0, 0.2, (6000, 4))))
    accuracy = np.mean([(given.argmax(1) == truth).mean() for given in networks])
    assert np.mean([given.max(1).mean() for given in networks]) > accuracy + 0.2
    temperature = temperature_from_agreement(networks)
    cooled = [apply_temperature(given, temperature) for given in networks]
    agreement = np.mean(
        [(networks[a].argmax(1) == networks[b].argmax(1)).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    )
    assert np.mean([given.max(1).mean() for given in cooled]) == pytest.approx(agreement, abs=1e-6)
    assert agreement == pytest.approx(accuracy, abs=0.02)
    for given in cooled:
        right = given.argmax(1) == truth
        assert calibration(given.max(1), right, resamples=20).ece < 0.03
    # The labels, which it never saw, ask for nearly the same.
    assert temperature == pytest.approx(fit_temperature(networks, [truth] * 3), rel=0.05)


def test_agreement_at_its_bounds_and_of_too_few():
    generator = np.random.default_rng(0)
    given = softmax(generator.normal(size=(100, 5)))
    assert temperature_from_agreement([given, given]) == pytest.approx(0.05)
    reverse = given[:, ::-1] if (given.argmax(1) != given[:, ::-1].argmax(1)).all() else np.roll(given, 1, 1)
    assert temperature_from_agreement([given, reverse]) == pytest.approx(20.0)
    for few in ([given], [given, given[:5]], [given[:0], given[:0]]):
        with pytest.raises(GalaxyError, match="cannot be measured"):
            temperature_from_agreement(few)


def test_risk_and_coverage_by_a_naive_loop():
    generator = np.random.default_rng(5)
    confidence = generator.uniform(0.2, 1, 250)
    right = generator.uniform(size=250) < confidence
    found = risk_coverage(confidence, right)
    order = sorted(range(250), key=lambda row: -confidence[row])
    accuracies = [right[order[:kept]].mean() for kept in range(1, 251)]
    assert found.area == pytest.approx(1 - np.mean(accuracies))
    assert len(found.coverage) == 100
    for share, value in zip(found.coverage, found.accuracy, strict=True):
        assert value == pytest.approx(accuracies[round(share * 250) - 1])
    for entry, kept in zip(found.table, (250, 225, 200, 125), strict=True):
        assert entry["n"] == kept
        assert entry["accuracy"] == pytest.approx(accuracies[kept - 1])
        assert entry["interval"] == wilson(int(right[order[:kept]].sum()), kept)
    assert found.table[3]["accuracy"] > found.table[0]["accuracy"] + 0.05


def test_galaxies_of_equal_confidence_stand_in_for_each_other():
    right = np.array([True] * 30 + [False] * 10)
    for order in (right, right[::-1]):
        found = risk_coverage(np.full(40, 0.7), order)
        assert found.accuracy == pytest.approx([0.75] * 40)
    one = risk_coverage(np.array([0.5]), np.array([True]))
    assert (one.coverage, one.accuracy, one.area) == ([1.0], [1.0], 0.0)


@pytest.fixture(scope="module")
def galaxies(blob_file):
    return Galaxy10(blob_file)


@pytest.fixture(scope="module")
def plain(tiny_checkpoint):
    loaded = load(tiny_checkpoint)
    return replace(loaded, preprocess=replace(loaded.preprocess, size=64))


@pytest.fixture(scope="module")
def measured(plain, galaxies):
    return calibrated(plain, galaxies, np.arange(0, 40, 2))


@pytest.mark.slow
def test_predictions_are_at_the_checkpoints_temperature(plain, measured, galaxies):
    rows = np.arange(1, 40, 2)
    raw = judge_rows(plain.network, galaxies, rows, preprocess=plain.preprocess)
    before, after = predict(plain, galaxies, rows), predict(measured, galaxies, rows)
    # Without a temperature and a reference, everything is as it was, bit by bit.
    assert np.array_equal(before[list(CLASS_NAMES)].to_numpy(), raw)
    assert list(before) == ["row", "true", *CLASS_NAMES]
    assert list(after) == ["row", "true", *CLASS_NAMES, UNLIKE]
    expected = apply_temperature(raw, measured.temperature)
    np.testing.assert_allclose(after[list(CLASS_NAMES)].to_numpy(), expected)
    assert measured.temperature != 1
    assert class_columns(after) == list(CLASS_NAMES)
    averaged = predict(measured, galaxies, rows, symmetries=True)
    several = judge_rows(plain.network, galaxies, rows, preprocess=plain.preprocess, symmetries=True)
    found = averaged[list(CLASS_NAMES)].to_numpy()
    assert (found.argmax(1) == several.argmax(1)).all()
    np.testing.assert_allclose(found, apply_temperature(several, measured.temperature))
    # The image as it stands is what the score is about, whatever the views; and no batch matters.
    np.testing.assert_allclose(averaged[UNLIKE], after[UNLIKE], rtol=1e-4)
    np.testing.assert_allclose(
        predict(measured, galaxies, rows, batch_size=3)[UNLIKE], after[UNLIKE], rtol=1e-4
    )


def test_calibrating_finds_the_temperature_of_a_plain_fit(plain, measured, galaxies):
    rows = np.arange(0, 40, 2)
    raw = judge_rows(plain.network, galaxies, rows, preprocess=plain.preprocess)
    assert measured.temperature == pytest.approx(fit_temperature(raw, galaxies.labels[rows].astype(np.int64)))
    assert (plain.temperature, plain.reference) == (1.0, None)
    again = calibrated(measured, galaxies, rows)
    assert again.temperature == measured.temperature
    assert all(torch.equal(again.reference[name], array) for name, array in measured.reference.items())
    with pytest.raises(DataError, match="too few"):
        calibrated(plain, galaxies, [0, 1, 2])
    renamed = replace(plain, class_names=("Comet", *plain.class_names[1:]))
    with pytest.raises(DataError, match="but a galaxy is 'Disturbed'"):
        calibrated(renamed, galaxies, rows)


def test_a_temperature_from_elsewhere_is_taken_and_more_images_count_as_alike(plain, measured, galaxies):
    rows = np.arange(0, 40, 2)
    strange = np.random.default_rng(5).integers(0, 256, (20, 256, 256, 3), dtype=np.uint8)
    found = calibrated(plain, galaxies, rows, temperature=1.7, alike=strange)
    assert found.temperature == 1.7
    data = InMemory(strange[:4], np.zeros(4, np.int64))
    before, after = (judge_with(one, data, range(4)).unlike for one in (measured, found))
    assert (after < 0.5 * before).all()


def test_an_evaluation_tells_of_risk_and_of_what_is_unlike(measured, galaxies, tmp_path):
    table = predict(measured, galaxies, np.arange(40))
    told = write_evaluation(table, tmp_path, temperature=measured.temperature, resamples=20)
    read = json.loads((tmp_path / "evaluation.json").read_text())
    assert read["temperature"] == measured.temperature
    assert [entry["coverage"] for entry in read["risk_coverage"]["table"]] == [1, 0.9, 0.8, 0.5]
    assert read["risk_coverage"]["table"][0]["accuracy"] == pytest.approx(read["accuracy"])
    assert read["risk_coverage"]["table"][0]["interval"] == pytest.approx(read["accuracy_interval"])
    above = read["unlike_training"]
    assert above["above"] == (table[UNLIKE] > 1).mean()
    assert above["quantiles"]["50"] == pytest.approx(table[UNLIKE].median())
    assert told["unlike_training"]["interval"] == wilson(int((table[UNLIKE] > 1).sum()), 40)
    assert "unlike_training" not in scores(table.drop(columns=UNLIKE), resamples=20)


def test_a_reference_of_another_network_is_refused(plain, measured, galaxies):
    odd = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 62 * 62, 10))
    with pytest.raises(GalaxyError, match="no stage 'stem'"):
        predict(replace(measured, network=odd), galaxies, [0])
    stage = measured.network.get_submodule("stem")
    narrow = Reference.fit({"stem": np.random.default_rng(0).normal(size=(40, 6))}).to_arrays()
    assert stage is not None
    with pytest.raises(GalaxyError, match="'stem' is not the one that the reference was measured with"):
        predict(replace(measured, reference=narrow), galaxies, [0])
    assert plain.reference is None
