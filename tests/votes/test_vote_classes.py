"""The rule from votes to the ten classes, on votes that leave no doubt."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import cohen_kappa_score
from votes_folder import write_folder

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.in_memory import InMemory
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import DataError
from galaxylib.evaluation.judge import judge_rows
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes import classes, zoo2
from galaxylib.votes.zoo2 import ANSWERS, PLACES

ODD, EVEN = {"6.1": 1.0}, {"6.2": 1.0}
DISC = {"1.2": 1.0, "2.2": 1.0, "4.1": 1.0, "5.2": 1.0, "11.2": 1.0}
CASES = {
    "Disturbed": {"1.1": 1.0, "7.1": 1.0, "8.3": 0.6, "8.5": 0.4} | ODD,
    "Merging": {"1.1": 1.0, "7.2": 1.0, "8.6": 0.7, "8.3": 0.3} | ODD,
    "Round Smooth": {"1.1": 1.0, "7.1": 0.7, "7.2": 0.3} | EVEN,
    "In-between Round Smooth": {"1.1": 1.0, "7.1": 0.3, "7.2": 0.7} | EVEN,
    "Cigar Shaped Smooth": {"1.1": 1.0, "7.3": 1.0} | EVEN,
    "Barred Spiral": DISC | {"3.1": 0.8, "3.2": 0.2, "10.1": 1.0} | EVEN,
    "Unbarred Tight Spiral": DISC | {"3.1": 0.1, "3.2": 0.9, "10.1": 0.6, "10.2": 0.3, "10.3": 0.1} | EVEN,
    "Unbarred Loose Spiral": DISC | {"3.1": 0.1, "3.2": 0.9, "10.2": 0.3, "10.3": 0.7} | EVEN,
    "Edge-on without Bulge": {"1.2": 1.0, "2.1": 1.0, "9.1": 0.2, "9.3": 0.8} | EVEN,
    "Edge-on with Bulge": {"1.2": 1.0, "2.1": 1.0, "9.1": 0.4, "9.2": 0.3, "9.3": 0.3} | EVEN,
}


def votes(answers):
    row = np.zeros((1, len(ANSWERS)))
    for answer, fraction in answers.items():
        row[0, PLACES[f"Class{answer}"]] = fraction
    zoo2.check_fractions(np.array([1]), row, where="the case")
    return row


def test_every_class_has_a_case():
    assert tuple(CASES) == CLASS_NAMES


@pytest.mark.parametrize("name", CASES)
def test_votes_without_doubt_get_their_class(name):
    assert CLASS_NAMES[classes.to_classes(votes(CASES[name]))[0]] == name


def test_a_disc_without_a_spiral_is_no_spiral():
    lens = votes({"1.1": 0.4, "7.1": 0.4, "1.2": 0.6, "2.2": 0.6, "3.2": 0.6, "4.2": 0.6, "5.4": 0.6} | EVEN)
    assert CLASS_NAMES[classes.to_classes(lens)[0]] == "Round Smooth"


def test_support_stays_a_fraction():
    generator = np.random.default_rng(0)
    rows = np.concatenate([votes(CASES[name]) for name in generator.choice(list(CASES), 30)])
    found = classes.support(rows)
    assert found.shape == (30, 10)
    assert found.min() >= 0
    assert found.max() <= 1


def test_agreement_is_scikit_learns():
    generator = np.random.default_rng(0)
    first = generator.integers(0, 10, 300)
    second = np.where(generator.random(300) < 0.4, first, generator.integers(0, 10, 300))
    found = classes.agreement(first, second)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(first, second))
    assert found["share"] == pytest.approx((first == second).mean())
    assert found["low"] < found["share"] < found["high"]
    assert classes.agreement(first, first)["kappa"] == 1


def test_kappa_of_a_table_and_of_what_has_none():
    """Counts 20, 5 / 10, 15: observed 0.7, expected 0.5."""
    found = classes.agreement(
        np.repeat([0, 0, 1, 1], [20, 5, 10, 15]), np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    )
    assert (found["chance"], found["kappa"]) == (pytest.approx(0.5), pytest.approx(0.4))
    assert classes.agreement(np.zeros(3, int), np.zeros(3, int))["kappa"] == 0
    assert classes.agreement(np.empty(0, int), np.empty(0, int))["kappa"] == 0


def test_a_galaxy_of_the_challenge_gets_the_size_of_galaxy10s():
    """A disc of one half-light radius keeps its area in pixels when the sets' radii are alike."""
    for radius in (14.0, 21.0, 30.0):
        side = classes.side_for(radius)
        assert side % 2 == 0
        y, x = np.mgrid[:424, :424] - 211.5
        disc = np.where(x**2 + y**2 < classes.HALF_LIGHT**2, 255, 0).astype(np.uint8)
        framed = zoo2.middle(Image.fromarray(disc).convert("RGB"), side, classes.STORED)
        assert np.sqrt((framed[..., 0] > 127).sum() / np.pi) == pytest.approx(radius, rel=0.02)
    assert classes.side_for(1.0) == 424


def test_images_of_the_challenge_come_in_the_order_asked_for(tmp_path):
    folder = write_folder(tmp_path)
    images = classes.like_galaxy10(folder, [900000001, 100008], side=256)
    assert images.shape == (2, 256, 256, 3)
    stored = np.asarray(zoo2.stored_image(folder / zoo2.IMAGES / "100008.jpg"))
    assert (images[1] == stored[84:340, 84:340]).all()
    with pytest.raises(DataError, match="no whole image"):
        classes.like_galaxy10(folder, [7], side=256)


def test_images_in_their_own_light_have_mean_0_and_deviation_1():
    generator = np.random.default_rng(0)
    images = generator.integers(0, [60, 120, 250], (5, 256, 256, 3)).astype(np.uint8)
    own = classes.in_their_own_light(Preprocess(size=128), images)
    seen = Preprocess(mean=own.mean, std=own.std)(torch.from_numpy(images))
    assert own.size == 128
    assert seen.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert seen.std((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-4)


def test_a_network_is_set_beside_the_votes_by_the_names_of_its_classes():
    """A network that sees nothing and always says its seventh class, under names in another order."""

    class Always(torch.nn.Module):
        def forward(self, x):
            return torch.eye(10)[6].expand(len(x), 10)

    names = (*CLASS_NAMES[3:], *CLASS_NAMES[:3])
    fractions = np.concatenate([votes(CASES[name]) for name in ("Merging", names[6], names[6])])
    plain = Preprocess(size=32)
    images = np.zeros((3, 256, 256, 3), np.uint8)
    found = classes.set_beside(Loaded(Always(), plain, names, {}), plain, images, fractions)
    assert (found["n"], found["share"]) == (3, pytest.approx(2 / 3))
    said = CLASS_NAMES.index(names[6])
    assert found["confusion"][said][said] == 2
    assert found["confusion"][CLASS_NAMES.index("Merging")][said] == 1
    assert found["clear"]["n"] == 3
    with pytest.raises(DataError, match="Galaxy10's ten classes"):
        classes.set_beside(Loaded(Always(), plain, ("a", "b", "c"), {}), plain, images, fractions)


def test_a_network_calls_each_image_by_itself():
    """A network whose logits are its channels' means names the brightest channel."""

    class Brightest(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    images = np.zeros((5, 256, 256, 3), np.uint8)
    for row, channel in enumerate((2, 0, 1, 1, 2)):
        images[row, ..., channel] = 200
    plain = Preprocess(size=32, mean=(0, 0, 0), std=(1, 1, 1))
    data = InMemory(images, np.zeros(5, np.int64))
    found = judge_rows(Brightest(), data, range(5), preprocess=plain, batch_size=2)
    assert found.argmax(axis=1).tolist() == [2, 0, 1, 1, 2]
