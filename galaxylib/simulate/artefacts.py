"""Cutouts that hold no galaxy: a star, something that a survey's software took for an object, or empty sky.

They pass through the same sky and the same camera as the simulated galaxies, and stand where a galaxy would.
The kinds are those that surveys know; how often each occurs and how bright it is are assumptions made here.
"""

import math

import numpy as np

from galaxylib.errors import GalaxyError
from galaxylib.simulate import light
from galaxylib.simulate.camera import photograph
from galaxylib.simulate.components import BAND_AXIS, band_fluxes
from galaxylib.simulate.drawing import CAMERA, FIELD
from galaxylib.simulate.light import GRID, SIZE, Map
from galaxylib.simulate.scene import flux, paint_field, paint_haze

STAR = "star"
ARTEFACTS = ("satellite trail", "dragged star", "saturated star", "cosmic ray")
"""A trail; a star's light drawn out while the telescope moved (as the ConvNet report describes); a star that
overflows along its column, with spikes; a particle's track, which no seeing blurs."""
SKY = "empty sky"
"""The sky beside galaxies, with the faint objects, the stars and the neighbours that cross any cutout."""

REACH = 2.0  # arcsec: how far from the middle a detection may put its cutout


def draw_other(kind: str, *, seed: int | np.random.SeedSequence) -> np.ndarray:
    """Draw a cutout without a galaxy in its middle.

    Args:
        kind: `STAR`, `SKY` or one of `ARTEFACTS`.
        seed: the same seed draws the same image.

    Returns:
        (256, 256, 3) uint8.

    Raises:
        GalaxyError: there is no such kind.
    """
    if kind not in PAINTERS:
        raise GalaxyError(f"There is no kind {kind!r}: choose one of {', '.join(PAINTERS)}.")
    rng = np.random.default_rng(seed)
    scene, haze = (np.zeros((3, GRID, GRID), np.float32) for _ in range(2))
    paint_field(scene, FIELD, REACH, rng)
    paint_haze(haze, FIELD, rng)
    x, y = light.plane()
    dx, dy = rng.uniform(-REACH, REACH, 2).astype(np.float32)
    # A particle hits the detector itself: its track is not blurred by the air.
    canvas = haze if kind == "cosmic ray" else scene
    canvas += PAINTERS[kind](x - dx, y - dy, rng)
    image, _ = photograph(scene, haze, CAMERA, rng)
    return image


def draw_others(kinds: tuple[str, ...], count: int, *, seed: int) -> np.ndarray:
    """`count` cutouts of these kinds in turn: (count, 256, 256, 3) uint8."""
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for row in range(count):
        seeds = np.random.SeedSequence([seed, 1], spawn_key=(row,))
        images[row] = draw_other(kinds[row % len(kinds)], seed=seeds)
    return images


def _point(x: Map, y: Map, magnitude: float, rng: np.random.Generator) -> Map:
    """A star's light before the seeing, a third of a pixel wide, in three bands."""
    shape = light.unit(np.exp(-(x**2 + y**2) / np.float32(2 * 0.1**2)))
    return shape * _bands(magnitude, rng)


def _bands(magnitude: float, rng: np.random.Generator) -> np.ndarray:
    """Nanomaggies in z, r, g of a star of some colour, (3, 1, 1)."""
    return np.array(band_fluxes(flux(magnitude), rng.uniform(0.2, 1.6)), np.float32)[BAND_AXIS]


def _star(x: Map, y: Map, rng: np.random.Generator) -> Map:
    return _point(x, y, rng.uniform(15.0, 19.5), rng)


def _trail(x: Map, y: Map, rng: np.random.Generator) -> Map:
    """A straight line across the frame, in the one to three bands during whose exposures something passed."""
    _, across = light.turned(x, y, rng.uniform(0, math.pi))
    shape = np.exp(-(across**2) / np.float32(2 * rng.uniform(0.2, 0.8) ** 2))
    passed = rng.permutation(3) < rng.integers(1, 4)
    # Nanomaggies a pixel, from a few times the sky's noise up.
    bright = np.exp(rng.uniform(math.log(0.02), math.log(0.4))) * np.array([1.3, 1.0, 0.8]) * passed
    return shape * bright.astype(np.float32)[BAND_AXIS]


def _dragged(x: Map, y: Map, rng: np.random.Generator) -> Map:
    along, across = light.turned(x, y, rng.uniform(0, math.pi))
    half = np.float32(rng.uniform(2, 12))
    shape = light.soft_cut(np.abs(along), half, 0.2) * np.exp(-(across**2) / np.float32(2 * 0.15**2))
    return light.unit(shape) * _bands(rng.uniform(15.0, 18.5), rng)


def _saturated(x: Map, y: Map, rng: np.random.Generator) -> Map:
    """A bright star, the charge that runs along its column, and its spikes."""
    magnitude = rng.uniform(10.5, 13.5)
    column = light.soft_cut(np.abs(y), rng.uniform(8, 30), 0.5) * np.exp(-(x**2) / np.float32(2 * 0.3**2))
    angle = rng.uniform(0, math.pi / 2)
    spikes = np.zeros_like(x)
    for turn in (0, math.pi / 2):
        along, across = light.turned(x, y, angle + turn)
        spikes += np.exp(-np.abs(along) / np.float32(6)) * np.exp(-(across**2) / np.float32(2 * 0.3**2))
    bands = _bands(magnitude, rng)
    return (
        _point(x, y, magnitude, rng)
        + light.unit(column) * bands * np.float32(0.5)
        + light.unit(spikes) * bands * np.float32(rng.uniform(0.02, 0.08))
    )


def _cosmic_ray(x: Map, y: Map, rng: np.random.Generator) -> Map:
    """A sharp track of a few pixels in one band."""
    along, across = light.turned(x, y, rng.uniform(0, math.pi))
    shape = (np.abs(along) < rng.uniform(0.3, 4)) * np.exp(-(across**2) / np.float32(2 * 0.15**2))
    bands = np.eye(3, dtype=np.float32)[rng.integers(3)] * np.float32(np.exp(rng.uniform(-3, 0.5)))
    return shape.astype(np.float32) * bands[BAND_AXIS]


PAINTERS = {
    STAR: _star,
    "satellite trail": _trail,
    "dragged star": _dragged,
    "saturated star": _saturated,
    "cosmic ray": _cosmic_ray,
    SKY: lambda x, _y, _rng: np.zeros((3, *x.shape), np.float32),
}
"""What paints each kind: (x, y, rng) -> (3, GRID, GRID) nanomaggies a pixel."""
