"""The book's colours: told apart by every reader, and seen on the white of the figures."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.paper.figures import ACCENT, CLASS_COLOURS, CONTRAST

# What each kind of colour blindness, at its full strength, makes of linear RGB: Machado, Oliveira and
# Fernandes (2009), "A physiologically-based model for simulation of color vision deficiency", Table 1.
SEEN = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
every_eye = pytest.mark.parametrize("eye", SEEN)


def linear(colours):
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def nearest(colours, eye):
    """The smallest CIEDE2000 difference of two of the colours, and which two."""
    seen = np.clip(linear(colours) @ np.transpose(SEEN[eye]), 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    return min((float(deltaE_ciede2000(lab[i], lab[j])), i, j) for i, j in combinations(range(len(lab)), 2))


@every_eye
def test_every_two_classes_differ(eye):
    assert tuple(CLASS_COLOURS) == CLASS_NAMES
    assert nearest(CLASS_COLOURS.values(), eye) >= (14.8,)
    assert nearest([ACCENT, CONTRAST], eye) >= (25,)


def test_every_class_is_seen_on_white():
    luminance = linear(CLASS_COLOURS.values()) @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (luminance + 0.05) >= 1.9).all()


def test_the_measure_finds_colours_that_look_alike():
    """Red and green of the same luminance, to a reader without the green receptor."""
    pair = ["#C0504D", "#7A7D2B"]
    assert nearest(pair, "normal")[0] > 3 * nearest(pair, "deuteranopia")[0]
