"""Two unrelated galaxies at a separation that is asked for."""

import numpy as np
import pytest
from scipy import ndimage

from galaxylib.data.galaxy10 import PIXEL_SCALE
from galaxylib.errors import GalaxyError
from galaxylib.simulate.pairs import FAINTER, draw_pair, pair_light


def centre(light):
    """Row and column of the light's centre of mass in r."""
    return np.array(ndimage.center_of_mass(light[1]))


@pytest.mark.parametrize("seed", range(3))
def test_the_second_stands_as_far_away_as_asked(seed):
    """The way that its centre of mass goes, against the same galaxy on top of the first."""
    first, on_top, radius = pair_light(0.0, seed=seed)
    alike, beside, same = pair_light(2.0, seed=seed)
    assert radius == same
    np.testing.assert_array_equal(first, alike)
    way = np.linalg.norm(centre(beside) - centre(on_top)) * PIXEL_SCALE
    assert way == pytest.approx(2.0 * radius, rel=0.05)
    assert beside.sum() == pytest.approx(on_top.sum(), rel=0.05)
    assert FAINTER[0] - 0.05 < on_top.sum() / first.sum() < FAINTER[1] + 0.05


def test_the_same_seed_draws_the_same_pair():
    once, again = (draw_pair(1.5, seed=4)[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == (256, 256, 3)
    assert once.dtype == np.uint8
    assert (once != draw_pair(1.5, seed=5)[0]).any()


def test_a_separation_below_zero_is_refused():
    with pytest.raises(GalaxyError, match="give 0 or more"):
        draw_pair(-1.0, seed=0)
    with pytest.raises(GalaxyError, match="give 0 or more"):
        draw_pair(float("nan"), seed=0)
