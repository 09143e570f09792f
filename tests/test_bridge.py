"""The rule from votes to the ten classes, on votes that leave no doubt."""

import numpy as np
import pytest

from galaxylib import bridge, zoo2
from galaxylib.galaxy10 import CLASS_NAMES
from galaxylib.zoo2 import ANSWERS, PLACES

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
    assert CLASS_NAMES[bridge.to_classes(votes(CASES[name]))[0]] == name


def test_a_disc_without_a_spiral_is_no_spiral():
    lens = votes({"1.1": 0.4, "7.1": 0.4, "1.2": 0.6, "2.2": 0.6, "3.2": 0.6, "4.2": 0.6, "5.4": 0.6} | EVEN)
    assert CLASS_NAMES[bridge.to_classes(lens)[0]] == "Round Smooth"


def test_support_stays_a_fraction():
    generator = np.random.default_rng(0)
    rows = np.concatenate([votes(CASES[name]) for name in generator.choice(list(CASES), 30)])
    found = bridge.support(rows)
    assert found.shape == (30, 10)
    assert found.min() >= 0
    assert found.max() <= 1
