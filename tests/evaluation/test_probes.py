"""Read-outs find what was put into features, agree with a plain ridge, and controls keep the rest out."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score
from torch import nn

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import DataError
from galaxylib.evaluation.probes import (
    DIVISIONS,
    FEWEST,
    PARAMETERS,
    STRENGTHS,
    compare,
    held_out_r2,
    pixel_features,
    read_outs,
    stage_features,
    truth_of,
)
from galaxylib.networks.inspection import stage_outputs

COUNT, CHANNELS = 400, 12


@pytest.fixture(scope="module")
def known():
    """Features in which two properties lie along known directions, one is noise, and one is known of half."""
    generator = np.random.default_rng(3)
    features = generator.normal(size=(COUNT, CHANNELS)) * np.geomspace(0.01, 100, CHANNELS)
    bar = 0.2 + features[:, 2] / features[:, 2].std() * 0.05
    pitch = 20 + 3 * (features[:, 0] / features[:, 0].std() - features[:, 5] / features[:, 5].std())
    truth = pd.DataFrame(
        {
            "bar_fraction": bar + generator.normal(0, 0.01, COUNT),
            "arm_pitch": np.where(np.arange(COUNT) % 2, pitch, np.nan),
            "colour": generator.normal(size=COUNT),
        }
    )
    return features.astype(np.float32), truth


def plain_ridge(features, values, *, seed):
    """R² of a ridge by its normal equations, its strength chosen by leaving one out at a time."""
    order = np.random.default_rng([seed, len(values)]).permutation(len(values))
    held, learned = np.split(order, [len(values) // 4])
    mean, scale = features[learned].mean(0), features[learned].std(0)
    x, y = (features[learned] - mean) / scale, values[learned]
    errors = []
    for strength in STRENGTHS:
        # The hat matrix of a ridge with a free mean gives every left-out error at once.
        centred = x - x.mean(0)
        hat = centred @ np.linalg.solve(centred.T @ centred + strength * np.eye(x.shape[1]), centred.T)
        hat += 1 / len(x)
        errors.append((((y - hat @ y) / (1 - np.diag(hat))) ** 2).mean())
    strength = STRENGTHS[int(np.argmin(errors))]
    slope = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    return r2_score(values[held], (features[held] - mean) / scale @ slope + y.mean())


def test_held_out_r2_is_that_of_a_plain_ridge(known):
    features, truth = known
    features = features.astype(np.float64)
    for seed in range(3):
        found = held_out_r2(features, truth, seed=seed)
        assert found[0] == pytest.approx(plain_ridge(features, truth["bar_fraction"].to_numpy(), seed=seed))
        half = truth["arm_pitch"].notna().to_numpy()
        pitch = truth["arm_pitch"].to_numpy()[half]
        assert found[1] == pytest.approx(plain_ridge(features[half], pitch, seed=seed))
        assert found[0] > 0.9
        assert found[1] > 0.9
        assert found[2] < 0.1


@pytest.fixture(scope="module")
def compared(known):
    features, truth = known
    generator = np.random.default_rng(4)
    twins = [{"lam": generator.normal(size=features.shape)} for _ in range(2)]
    twins[0]["lam"][:, 0] = features[:, 0]  # one of the two sees half of the pitch
    pixels = np.stack(
        [truth["colour"] + generator.normal(0, 0.1, COUNT), *generator.normal(size=(20, COUNT))]
    )
    labels = (truth["bar_fraction"] > 0.2).to_numpy().astype(np.int64)
    return compare({"lam": features}, twins, pixels.T, truth, labels=labels)


def test_gains_are_over_the_better_control(known, compared):
    features, truth = known
    bar, colour = compared["lam"]["bar_fraction"], compared["lam"]["colour"]
    every = [held_out_r2(features, truth, seed=seed)[0] for seed in range(DIVISIONS)]
    assert bar["trained"]["r2"] == pytest.approx(np.mean(every))
    assert min(every) <= bar["trained"]["low"] <= bar["trained"]["high"] <= max(every)
    assert bar["control"] == 0  # both controls do worse than the mean
    assert bar["gain"] == pytest.approx(bar["trained"]["r2"])
    assert compared["lam"]["arm_pitch"]["galaxies"] == COUNT // 2
    assert colour["pixels"]["r2"] > 0.9
    assert colour["control"] == colour["pixels"]["r2"]
    assert colour["gain_high"] < 0
    # Half of the pitch's variance, in half of the divisions.
    assert 0.15 < compared["lam"]["arm_pitch"]["twin"]["r2"] < 0.35
    # Which side of the mean a normal deviate lies on tells 2 / pi of it.
    assert bar["classes"]["r2"] == pytest.approx(2 / np.pi, abs=0.06)
    # Its noise weighs more where the class's share of the variance is taken away.
    noise = 0.01**2 / truth["bar_fraction"].var() / (1 - 2 / np.pi)
    assert bar["within"]["r2"] == pytest.approx(1 - noise, abs=0.03)


def test_directions_act_on_the_features_as_they_are(known, compared):
    features, truth = known
    found = read_outs({"lam": features}, truth, compared)["lam"]
    assert found["colour"].vector == ()
    assert not found["colour"].reads
    bar, pitch = found["bar_fraction"], found["arm_pitch"]
    for one in (bar, pitch):
        assert one.reads
        assert np.linalg.norm(one.vector) == pytest.approx(1)
    # By how much each property truly grows along each channel.
    scale = features.std(0)
    expected = np.zeros(CHANNELS)
    expected[0], expected[5] = 3 / scale[0], -3 / scale[5]
    assert np.dot(pitch.vector, expected / np.linalg.norm(expected)) > 0.999
    assert r2_score(truth["bar_fraction"], bar.read(features)) > 0.95
    told = truth["arm_pitch"].notna()
    assert r2_score(truth["arm_pitch"][told], pitch.read(features)[told]) > 0.95


def test_features_are_the_mean_over_places_of_what_the_stages_give():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.Flatten(), nn.LazyLinear(4))
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    preprocess = Preprocess(size=16, crop=32)
    network(torch.zeros(1, 3, 16, 16))
    data = InMemory(images, np.zeros(6, np.int64))
    found = stage_features(network, data, preprocess=preprocess, stages=("0", "2"), batch_size=4)
    outputs = stage_outputs(network, preprocess(torch.from_numpy(images)), stages=("0", "2"))
    for stage, output in outputs.items():
        assert found[stage].shape == output.shape[:2]
        np.testing.assert_allclose(found[stage], output.mean((2, 3)), atol=1e-6)


def test_pixels_are_reduced_to_what_varies_most(blob_file):
    with Galaxy10(blob_file) as data:
        found = pixel_features(data, 5, preprocess=Preprocess())
        # The same, by the singular values of the centred pixels.
        pixels = Preprocess()(torch.from_numpy(data.read(range(len(data)))))
    small = torch.nn.functional.avg_pool2d(pixels, 4).flatten(1).double()
    left, values, _ = torch.linalg.svd(small - small.mean(0), full_matrices=False)
    expected = (left * values)[:, :5].numpy()
    for column in range(5):
        cosine = found[:, column] @ expected[:, column] / np.linalg.norm(expected[:, column]) ** 2
        assert abs(cosine) == pytest.approx(1, abs=0.02)


def test_parameters_are_columns_of_the_truth_and_rare_ones_are_left_out():
    drawing = pytest.importorskip("galaxylib.simulate.drawing")
    assert set(PARAMETERS) < set(drawing.TRUTH_COLUMNS)
    table = pd.DataFrame({"magnitude": np.arange(60.0), "colour": 1.0, "shells": np.arange(60.0)})
    table["separation"] = np.where(np.arange(60) < FEWEST - 1, np.arange(60.0), np.nan)
    assert list(truth_of(table)) == ["magnitude"]
    for nothing in (None, table[:10]):
        with pytest.raises(DataError, match="galaxylib simulate"):
            truth_of(nothing)
