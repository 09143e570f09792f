"""Dreams along concepts: doses, controls and verdicts."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.dreaming import dream
from galaxylib.dream.objectives import direction
from galaxylib.dream.settings import Settings
from galaxylib.paper import concept_dreams as dreams

SETTINGS = Settings(sizes=(48,), steps=(4,), rates=(0.05,), jitter=(2,), levels=1, sharpen=0.0)
PREPROCESS = Preprocess(size=48, crop=256)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh())


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1)) * 0.6 + 0.2


def test_doses_are_the_steps_of_one_climb_up_and_one_down(network, images):
    along = direction("0", [1.0, 0, 0, 0, 0, 0])
    found = dreams.dosed(
        network, images, along, doses=(-4, -2, 0, 2, 4), settings=SETTINGS, preprocess=PREPROCESS, seed=3
    )
    assert found.shape == (5, 2, 3, 48, 48)
    torch.testing.assert_close(found[2], images, atol=1e-6, rtol=0)
    alone = dream(network, images[0], -1 * along, settings=SETTINGS, preprocess=PREPROCESS, seed=3)
    np.testing.assert_allclose(found[0, 0], alone.image, atol=1 / 255)
    with torch.no_grad():
        values = [network(PREPROCESS.normalise(one))[:, 0].mean().item() for one in found]
    assert values == sorted(values)


def test_a_random_direction_has_the_same_stage_and_length():
    along = direction("lam", np.eye(5)[0].tolist())
    (drawn,), (again,) = (dreams.random_direction(along, seed=1).terms for _ in range(2))
    assert drawn == again
    assert drawn.layer == "lam"
    assert np.linalg.norm(drawn.vector) == pytest.approx(1)
    assert len(drawn.vector) == 5


def test_slopes_are_those_of_a_line_for_each_galaxy():
    doses = (-2, 0, 2)
    found = np.array([[0.0, 1.0, np.nan], [0.5, 1.0, 1.0], [1.0, 4.0, 1.0]])
    np.testing.assert_allclose(dreams.slopes(found, doses), [1.0, np.polyfit(doses, found[:, 1], 1)[0] * 4])


def test_the_interval_is_students():
    values = np.array([0.1, 0.3, 0.2, 0.5])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert dreams.mean_interval(values) == pytest.approx((values.mean(), low, high))
    assert dreams.mean_interval(values, tests=5)[1] < low
    assert np.isnan(dreams.mean_interval(values[:2])).all()


def galaxies(rise):
    """Ten galaxies whose measure rises so much from the lowest to the highest of three doses, with noise."""
    noise = np.random.default_rng(len(str(rise))).normal(0, 0.01, (3, 10))
    return {"measure": 0.5 + rise * np.linspace(-0.5, 0.5, 3)[:, None] + noise, "reader": noise}


@pytest.mark.parametrize(
    ("concept", "rise", "random", "told"),
    [
        ("bar_fraction", 0.3, 0.02, "moves it"),
        ("bar_fraction", 0.3, 0.31, "moves it, no more than a control"),
        ("bar_fraction", -0.3, 0.02, "moves it the other way"),
        ("inclination", -0.3, 0.02, "moves it"),  # the more inclined, the flatter
        ("bar_fraction", 0.0, 0.0, "not shown to move it"),
    ],
)
def test_verdicts(concept, rise, random, told):
    found = {"concept": galaxies(rise), "random direction": galaxies(random), "random weights": galaxies(0.0)}
    one = dreams.judged(found, concept, (-2, 0, 2), tests=3)
    assert one["verdict"] == told
    assert one["concept"][0] == pytest.approx(rise, abs=0.02)
    assert one["galaxies"] == 10


def test_the_table_tells_the_stage_and_the_intervals():
    found = {name: galaxies(0.3 if name == "concept" else 0.0) for name in dreams.CONDITIONS}
    one = dreams.judged(found, "arm_pitch", (-2, 0, 2), tests=1) | {"stage": "dma3"}
    line = dreams.verdict_table({"concepts": {"arm_pitch": one}}).loc["arm pitch, dma3"]
    assert line["verdict"] == "moves it"
    assert line["change"].startswith("+0.3")
    assert dreams.in_words((float("nan"),) * 3) == "not measured"
