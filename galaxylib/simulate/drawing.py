"""One simulated galaxy: recipe, scene, camera."""

from __future__ import annotations

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.simulate.camera import Camera, photograph
from galaxylib.simulate.classes import CLASS_RECIPES
from galaxylib.simulate.scene import Field, galaxy, paint_field, paint_haze

TRUTH_COLUMNS = (
    "magnitude",
    "colour",
    "half_light_radius",
    "axis_ratio",
    "sersic_n",
    "inclination",
    "bulge_fraction",
    "bar_fraction",
    "bar_length",
    "arm_pitch",
    "arm_count",
    "arm_strength",
    "asymmetry",
    "dust_depth",
    "shells",
    "bodies",
    "separation",
    "tail_fraction",
    "psf_fwhm",
    "sky_sigma",
)
"""True parameters kept of every galaxy; NaN where a parameter has no meaning for the kind of body."""

CAMERA = Camera()
FIELD = Field()


def draw(label: int, *, seed: int | np.random.SeedSequence) -> tuple[np.ndarray, dict[str, float]]:
    """Draw one galaxy of a class.

    Args:
        label: class number, 0 to 9, in the order of `CLASS_NAMES`.
        seed: the same seed draws the same galaxy.

    Returns:
        the image, (256, 256, 3) uint8 (z, r, g as red, green, blue), and the truth: TRUTH_COLUMNS to floats.

    Raises:
        GalaxyError: there is no such class.
    """
    if not 0 <= label < len(CLASS_NAMES):
        raise GalaxyError(f"There is no class {label}: classes are numbered 0 to {len(CLASS_NAMES) - 1}.")
    rng = np.random.default_rng(seed)
    canvas, truth = galaxy(CLASS_RECIPES[label], rng)
    paint_field(canvas, FIELD, truth["half_light_radius"], rng)
    haze = np.zeros_like(canvas)
    paint_haze(haze, FIELD, rng)
    image, conditions = photograph(canvas, haze, CAMERA, rng)
    known = {**truth, **conditions}
    return image, {name: float(known.get(name, np.nan)) for name in TRUTH_COLUMNS}
