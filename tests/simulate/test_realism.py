import json

import numpy as np
import pytest

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.stretch import viewer_colours
from galaxylib.simulate import realism


def shown(flux):
    """Light (H, W, 3) as the simulated camera shows it, uint8."""
    return np.round(viewer_colours(np.moveaxis(flux, -1, 0)) * 255).astype(np.uint8)


def gaussian(sigma=10.0, size=256):
    axis = np.arange(size) - (size - 1) / 2
    return np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * sigma**2))


def test_linear_light_undoes_the_stretch():
    # None of this light is bright enough to be clipped at white.
    flux = np.random.default_rng(0).uniform(0, 0.04, (8, 8, 3))
    np.testing.assert_allclose(realism.linear_light(shown(flux)[None])[0], flux, atol=0.002)


def test_the_sky_of_the_stretch_is_the_surveys_grey():
    images = shown(np.zeros((16, 16, 3)))[None]
    np.testing.assert_allclose(realism.channel_statistics(images).sky, 35 / 255, atol=0.02)


def test_channel_statistics():
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    images[..., 2] = 51
    found = realism.channel_statistics(images)
    np.testing.assert_allclose(found.mean, images.reshape(-1, 3).mean(0) / 255)
    np.testing.assert_allclose(found.deviation, images.reshape(-1, 3).std(0) / 255)
    assert found.sky[2] == pytest.approx(0.2)


def test_radial_profile_of_a_known_light():
    images = np.repeat((255 * gaussian(20))[None, ..., None], 3, axis=-1).round().astype(np.uint8)
    radii, profiles = realism.radial_profiles(images)
    expected = np.exp(-((radii / 0.262) ** 2) / (2 * 20**2))
    np.testing.assert_allclose(profiles[0], expected, atol=0.02)


def test_colours_of_a_known_galaxy():
    flux = gaussian()[..., None] * np.array([0.08, 0.05, 0.025])
    image = shown(flux)[None]
    expected = [2.5 * np.log10(0.05 / 0.025), 2.5 * np.log10(0.08 / 0.05)]
    np.testing.assert_allclose(realism.colours(image)[0], expected, atol=0.03)
    assert np.isnan(realism.colours(np.full((1, 256, 256, 3), 35, np.uint8))).all()


def test_power_of_a_wave_sits_at_its_frequency_and_of_noise_everywhere():
    wave = 100 + 50 * np.sin(2 * np.pi * 0.125 * np.arange(256))
    images = np.broadcast_to(wave[None, None, :, None], (1, 256, 256, 3)).astype(np.uint8)
    frequency, power = realism.power_spectra(images)
    assert frequency[power[0].argmax()] == pytest.approx(0.125, rel=0.12)
    noise = np.random.default_rng(0).normal(128, 20, (4, 256, 256, 1)).round().astype(np.uint8).repeat(3, -1)
    _, power = realism.power_spectra(noise)
    np.testing.assert_allclose(power.mean(0)[8:], (20 / 255) ** 2, rtol=0.15)


@pytest.mark.slow
def test_telling_apart_what_is_alike_and_what_is_not(blob_file):
    images = Galaxy10(blob_file).read(range(40))
    alike = realism.tell_apart(images[::2], images[1::2])
    assert alike.n == 40
    assert 0.2 < alike.auc < 0.8
    apart = realism.tell_apart(images[::2], np.clip(images[1::2] * 1.3, 0, 255).astype(np.uint8))
    assert apart.auc > 0.95
    assert apart.right >= 36


def test_rows_alike_mix_the_classes_as_asked():
    labels = np.arange(1000) % 10
    counts = [5, 5, 0, 10, 1, 1, 1, 1, 1, 1]
    rows = realism.rows_alike(labels, counts, at_most=100)
    assert np.bincount(labels[rows], minlength=10).tolist() == [3 * count for count in counts]
    assert len(np.unique(rows)) == len(rows)
    few = realism.rows_alike(labels[:40], counts, at_most=100)
    assert np.bincount(labels[:40][few], minlength=10).tolist() == [4, 4, 0, 4, 1, 1, 1, 1, 1, 1]


def test_portrait_is_plain_values(blob_file):
    found = realism.portrait(Galaxy10(blob_file).read(range(10)))
    assert found["images"] == 10
    assert json.loads(json.dumps(found)) == found
    low, middle, high = found["profile_16_50_84"]
    assert low[0] <= middle[0] <= high[0]
    assert middle[0] > middle[-1]
