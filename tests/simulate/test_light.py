"""The quick ways to paint give what the plain formulas give."""
# ruff: noqa: E402 - without GalSim nothing of this can be imported

import numpy as np
import pytest
import scipy.fft
import scipy.special

galsim = pytest.importorskip("galsim", reason="galaxies are drawn with GalSim")

from galaxylib.data.stretch import SOFTENING, stretched
from galaxylib.simulate import light


@pytest.mark.parametrize(
    "profile",
    [galsim.Moffat(beta=3.5, fwhm=1.2), galsim.Moffat(beta=3.5, fwhm=0.85), galsim.Gaussian(sigma=0.13)],
)
def test_a_round_transform_is_the_whole_one(profile):
    np.testing.assert_allclose(light.round_transform(profile), light.transform(profile), rtol=1e-6, atol=1e-7)


def test_a_transform_lies_as_scipy_lays_it():
    """A Gaussian off the centre, drawn in space and transformed."""
    x, y = light.plane()
    sigma = 4 * light.PIXEL_SCALE
    u, v = x - np.float32(3), y + np.float32(2)
    drawn = np.exp(-(u**2 + v**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2) * light.PIXEL_SCALE**2
    middle = light.CENTRE * light.PIXEL_SCALE
    found = light.transform(galsim.Gaussian(sigma=sigma).shift(3 + middle, -2 + middle))
    np.testing.assert_allclose(found, scipy.fft.rfft2(drawn), atol=1e-4)


def test_distances_edges_and_brightness_are_the_plain_formulas():
    x, y = light.plane()
    np.testing.assert_allclose(light.distance(x, y), np.hypot(x, y), rtol=1e-6)
    for width in (0.01, 1.0):
        expected = scipy.special.expit((np.float32(5) - np.abs(x)) / np.float32(width))
        np.testing.assert_allclose(light.soft_cut(np.abs(x), 5, width), expected, rtol=1e-5, atol=1e-30)
    bands = np.random.default_rng(0).exponential(0.2, (3, 50, 50)).astype(np.float32)
    mean = bands.astype(np.float64).mean(0)
    expected = np.clip(bands * np.arcsinh(SOFTENING * mean) / np.sqrt(SOFTENING) / mean, 0, 1)
    np.testing.assert_allclose(stretched(bands, axis=0), expected, rtol=3e-6)


def test_an_edge_on_disc_falls_off_as_sech_squared():
    _, y = light.plane()
    found = light.edge_on_disc(np.zeros_like(y), y, scale=4.0, thickness=0.2, cut=3.0)[:, 0]
    expected = 1 / np.cosh(np.minimum(np.abs(y[:, 0].astype(np.float64)) / 0.8, 20)) ** 2
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), rtol=1e-5)
