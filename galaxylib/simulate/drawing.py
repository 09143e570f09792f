"""One simulated galaxy: recipe, scene, camera."""

from __future__ import annotations

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.simulate.camera import Camera, exposed, photograph
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
    rng = np.random.default_rng(seed)
    scene, haze, truth = _painted(label, rng)
    image, conditions = photograph(scene, haze, CAMERA, rng)
    known = {**truth, **conditions}
    return image, {name: float(known.get(name, np.nan)) for name in TRUTH_COLUMNS}


def draw_light(label: int, *, seed: int | np.random.SeedSequence) -> np.ndarray:
    """The light of the galaxy that `draw` shows in colours for the same seed, as a FITS cutout would hold it.

    Returns:
        (3, 256, 256) float32, nanomaggies a pixel in z, r, g, rows from the top.

    Raises:
        GalaxyError: there is no such class.
    """
    rng = np.random.default_rng(seed)
    scene, haze, _ = _painted(label, rng)
    return exposed(scene, haze, CAMERA, rng)[0].astype(np.float32)


def _painted(label: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """A galaxy among its neighbours, the haze around them, and the galaxy's truth."""
    if not 0 <= label < len(CLASS_NAMES):
        raise GalaxyError(f"There is no class {label}: classes are numbered 0 to {len(CLASS_NAMES) - 1}.")
    scene, truth = galaxy(CLASS_RECIPES[label], rng)
    paint_field(scene, FIELD, truth["half_light_radius"], rng)
    haze = np.zeros_like(scene)
    paint_haze(haze, FIELD, rng)
    return scene, haze, truth
