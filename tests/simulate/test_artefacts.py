"""Cutouts without a galaxy: each kind shows what it says, where it says."""

import numpy as np
import pytest

from galaxylib.errors import GalaxyError
from galaxylib.simulate import light
from galaxylib.simulate.artefacts import ARTEFACTS, PAINTERS, SKY, STAR, draw_other, draw_others
from galaxylib.simulate.light import GRID, PIXEL_SCALE


def painted(kind, seed=0):
    """The light of one kind alone, (3, GRID, GRID), at the middle."""
    return PAINTERS[kind](*light.plane(), np.random.default_rng(seed))


def spread(map_):
    """Deviation along the longest and the shortest axis of a map of light, in arcsec."""
    x, y = light.plane()
    weight = map_ / map_.sum()
    middle = [(weight * axis).sum() for axis in (x, y)]
    moments = np.cov(np.stack([x.ravel() - middle[0], y.ravel() - middle[1]]), aweights=weight.ravel())
    small, large = np.sqrt(np.maximum(np.linalg.eigvalsh(moments), 0))
    return large, small


def test_every_kind_has_its_shape():
    for seed in range(5):
        large, _ = spread(painted(STAR, seed)[1])
        assert large < PIXEL_SCALE
        large, small = spread(painted("satellite trail", seed).sum(axis=0))
        assert large > 15
        assert small < 1.5
        large, small = spread(painted("dragged star", seed)[1])
        # A line of half-length h has the deviation h / sqrt(3), and h is drawn from 2 to 12 arcsec.
        assert 1.0 < large < 7.5
        assert small < 0.4
        track = painted("cosmic ray", seed)
        assert (track.sum(axis=(1, 2)) > 0).sum() == 1  # in one band


def test_a_saturated_star_overflows_along_its_column():
    image = painted("saturated star")[1]
    middle = GRID // 2
    assert image[middle - 30, middle - 1 : middle + 1].max() > 10 * image[middle, middle - 30]


def test_the_same_seed_draws_the_same_image():
    first = draw_other("cosmic ray", seed=3)
    assert first.shape == (256, 256, 3)
    assert first.dtype == np.uint8
    assert (first == draw_other("cosmic ray", seed=3)).all()
    assert (first != draw_other("cosmic ray", seed=4)).any()
    three = draw_others(ARTEFACTS, 3, seed=1)
    assert (three[:2] == draw_others(ARTEFACTS, 2, seed=1)).all()
    with pytest.raises(GalaxyError, match="no kind 'comet': choose one of star, satellite trail"):
        draw_other("comet", seed=0)


def test_empty_sky_has_nothing_in_its_middle():
    images = np.stack([draw_other(SKY, seed=seed) for seed in range(12)]).astype(float).mean(axis=-1)
    middles = images[:, 118:138, 118:138].mean(axis=(1, 2))
    assert np.median(np.abs(middles - np.median(images, axis=(1, 2)))) < 4
    stars = np.stack([draw_other(STAR, seed=seed) for seed in range(12)]).astype(float).mean(axis=-1)
    assert stars[:, 118:138, 118:138].mean() > 3 * middles.mean()


def test_a_star_is_brightest_in_the_middle():
    image = draw_other(STAR, seed=5).astype(float).sum(axis=2)
    assert image[115:141, 115:141].max() > 3 * np.median(image)
