"""Measures of shape against galaxies whose shape is known."""

import numpy as np
import pytest

from galaxylib.dream.shapes import moments, spiral

SIDE = 160
Y, X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
MASK = X**2 + Y**2 < 70**2


def picture(light):
    return np.repeat(light[..., None], 3, axis=2)


@pytest.mark.parametrize("ratio", [1.0, 0.6, 0.3])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_the_axis_ratio_of_a_gaussian_is_that_of_its_deviations(ratio, angle):
    along = X * np.cos(angle) + Y * np.sin(angle)
    across = -X * np.sin(angle) + Y * np.cos(angle)
    light = np.exp(-(along**2) / 2 / 12**2 - across**2 / 2 / (12 * ratio) ** 2)
    found = moments(picture(light), MASK)
    assert found["axis_ratio"] == pytest.approx(ratio, abs=0.01)
    assert found["radius"] == pytest.approx(12 * np.hypot(1, ratio), rel=0.01)


@pytest.mark.parametrize("pitch", [12.0, 20.0, 35.0])
@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize("sense", [1, -1])
def test_the_pitch_of_a_drawn_spiral_comes_back(pitch, arms, sense):
    """r = r0 exp(theta tan(pitch)), turning either way, on an exponential disc."""
    radius, theta = np.hypot(X, Y), np.arctan2(Y, X)
    winding = np.log(np.maximum(radius, 1)) / np.tan(np.radians(pitch))
    light = np.exp(-radius / 20) * (1 + 0.5 * np.cos(arms * (theta - sense * winding)))
    found = spiral(picture(light), MASK, arms=arms)
    assert found["pitch"] == pytest.approx(pitch, rel=0.06)
    assert found["strength"] > 0.3


def test_a_disc_has_hardly_a_spiral_and_a_bar_no_tight_one():
    radius, theta = np.hypot(X, Y), np.arctan2(Y, X)
    disc = np.exp(-radius / 20) * (1 + 0.02 * np.random.default_rng(0).normal(size=radius.shape))
    barred = np.exp(-radius / 20) * (1 + 0.5 * np.cos(2 * theta))
    assert spiral(picture(disc), MASK)["strength"] < 0.2
    assert spiral(picture(barred), MASK)["pitch"] > 50


@pytest.mark.parametrize("mask", [np.zeros((SIDE, SIDE), bool), MASK])
def test_nothing_is_measured_where_there_is_no_light(mask):
    dark = np.zeros((SIDE, SIDE, 3))
    assert all(np.isnan(value) for value in (moments(dark, mask) | spiral(dark, mask)).values())
