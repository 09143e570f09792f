import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("galsim", reason="the benchmark draws galaxies")

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "sim_to_real.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("sim_to_real", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["sim_to_real"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sim_to_real"]


def small():
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 4),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    ).eval()


def test_halving_is_the_mean_of_four_pixels(bench):
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 6, 3), np.uint8)
    found = bench.halved(images)
    assert found.shape == (2, 3, 4, 3)
    for row in range(4):
        for column in range(3):
            block = images[1, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, 2].astype(float)
            assert abs(found[1, 2, row, column] - block.mean()) <= 0.5


def test_without_changes_only_the_orientation_varies(bench):
    still = bench.Jitter(
        scale=0, shift=0, contrast=0, gamma=0, level=0, saturation=0, tint=0, blur=0, noise=0
    )
    # A round blob on a flat sky looks the same from all sides.
    y, x = np.mgrid[:64, :64] - 31.5
    blob = (0.14 + 0.6 * np.exp(-(x**2 + y**2) / 60)).astype(np.float32)
    images = torch.from_numpy(np.stack([np.stack([blob] * 3)] * 4))
    found = still(images, size=48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, images[:, :, 8:56, 8:56], atol=0.02, rtol=0)


def test_changes_come_from_the_generator_alone(bench):
    images = torch.rand(3, 3, 32, 32)
    first, second, other = (
        bench.Jitter()(images, size=24, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_probabilities_do_not_depend_on_the_orientation(bench):
    network = small()
    images = np.random.default_rng(1).integers(0, 255, (3, 3, 40, 40), np.uint8)
    turned = np.ascontiguousarray(np.rot90(images, axes=(2, 3)))
    upright = bench.probabilities(network, images, size=32)
    np.testing.assert_allclose(upright, bench.probabilities(network, turned, size=32), atol=2e-3)
    np.testing.assert_allclose(upright.sum(1), 1, atol=1e-3)


def test_adapting_moves_the_statistics_of_a_copy_only(bench):
    network = small()
    before = network[1].running_mean.clone()
    images = np.random.default_rng(2).integers(0, 255, (5, 3, 40, 40), np.uint8)
    moved = bench.adapted(network, images, size=40)
    assert torch.equal(network[1].running_mean, before)
    assert not moved.training
    # The oracle: the mean of the convolution's output over all eight symmetries, which only permute pixels of
    # the image but not of a convolution, so that it is computed on each.
    views = [torch.from_numpy(images).float() / 255]
    views = [torch.rot90(view, turns, (2, 3)) for view in views for turns in range(4)]
    views += [view.flip(3) for view in views]
    with torch.no_grad():
        expected = torch.stack([network[0](bench.normalised(view)).mean((0, 2, 3)) for view in views]).mean(0)
    torch.testing.assert_close(moved[1].running_mean, expected, atol=0.02, rtol=0.02)


def test_scores_average_over_the_seeds(bench):
    labels = np.array([0, 0, 1, 1])
    right = np.eye(10)[labels]
    wrong = np.eye(10)[[0, 3, 1, 1]]
    found = bench.judged([right, wrong], labels)
    assert found["accuracy_per_seed"] == [1.0, 0.75]
    assert found["accuracy"] == pytest.approx(0.875)
    assert found["recall"]["Disturbed"] == pytest.approx(0.75)
    assert found["confusion_over_seeds"][0][3] == 1
