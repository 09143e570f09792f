"""Two galaxies that have nothing to do with each other and stand close together in the sky."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.simulate.camera import photograph
from galaxylib.simulate.classes import CLASS_RECIPES
from galaxylib.simulate.drawing import CAMERA, FIELD
from galaxylib.simulate.light import PIXEL_SCALE
from galaxylib.simulate.scene import frame, galaxy, paint_field, paint_haze

KINDS = tuple(
    CLASS_NAMES.index(name)
    for name in ("Round Smooth", "In-between Round Smooth", "Barred Spiral", "Unbarred Tight Spiral")
)
"""The classes that the two are drawn from: undisturbed galaxies seen from above."""
FAINTER = (0.2, 0.6)
"""Light of the second over that of the first, drawn from this range."""


def draw_pair(separation: float, *, seed: int) -> tuple[np.ndarray, float]:
    """Draw two unrelated galaxies, one in the middle and a fainter one beside it: no tails, halo or bridge.

    The same seed gives the same two galaxies under the same sky at any separation.

    Args:
        separation: of their centres, in half-light radii of the first, 0 or more.
        seed: of all random numbers.

    Returns:
        the image, (256, 256, 3) uint8 (z, r, g as red, green, blue), and the first's half-light radius,
        arcsec.

    Raises:
        GalaxyError: the separation is below 0.
    """
    first, second, radius, rng = _two(separation, seed)
    scene = first + second
    paint_field(scene, FIELD, radius, rng)
    haze = np.zeros_like(scene)
    paint_haze(haze, FIELD, rng)
    return photograph(scene, haze, CAMERA, rng)[0], radius


def pair_light(separation: float, *, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The light of the two galaxies of `draw_pair` without their sky.

    Returns:
        the first's and the second's, each (3, 256, 256) float32 in nanomaggies a pixel (z, r, g), and the
        first's half-light radius, arcsec.

    Raises:
        GalaxyError: the separation is below 0.
    """
    first, second, radius, _ = _two(separation, seed)
    return frame(first), frame(second), radius


def _two(separation: float, seed: int) -> tuple[np.ndarray, np.ndarray, float, np.random.Generator]:
    if not separation >= 0:
        raise GalaxyError(f"Two galaxies cannot stand {separation} radii apart: give 0 or more.")
    rng = np.random.default_rng(seed)
    (first, truth), (second, _) = (galaxy(CLASS_RECIPES[int(rng.choice(KINDS))], rng) for _ in range(2))
    second *= np.float32(rng.uniform(*FAINTER) * first.sum() / second.sum())
    radius, angle = truth["half_light_radius"], rng.uniform(0, 2 * math.pi)
    away = separation * radius / PIXEL_SCALE
    places = (0, away * math.sin(angle), away * math.cos(angle))
    return first, ndimage.shift(second, places, order=1), radius, rng
