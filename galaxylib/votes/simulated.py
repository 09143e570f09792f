"""Votes that volunteers might cast on simulated galaxies, drawn from what the galaxies truly are.

A stand-in, so that the chapter on votes runs with no download. The borders between answers come from the
project's simulation (axis ratio 0.78 and 0.48, bar flux 0.07, bulge fraction 0.12, arm pitch near 18
degrees); how firmly volunteers keep to them is an assumption, and no result on these votes says anything
about Galaxy Zoo. The tree itself is kept exactly: every volunteer walks down it.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from PIL import Image

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.errors import DataError, GalaxyError
from galaxylib.votes.zoo2 import ANSWERS, PLACES, TREE, WIDE, Votes, from_the_root, places

VOLUNTEERS = 44
"""Classifications a galaxy: Galaxy Zoo 2's average (seed 004, section 2)."""

FIELD = 16.0
"""Side of the image in half-light radii: 336 pixels of 2 % of R90, R90 being about 2.4 of those radii."""

NEEDED = (
    "axis_ratio",
    "half_light_radius",
    "psf_fwhm",
    "arm_count",
    "arm_pitch",
    "arm_strength",
    "bar_fraction",
    "bulge_fraction",
    "asymmetry",
    "dust_depth",
    "inclination",
    "bodies",
    "shells",
    "tail_fraction",
)


def simulated_votes(
    data: Galaxy10,
    rows: Sequence[int] | np.ndarray,
    *,
    volunteers: int = VOLUNTEERS,
    distance: float = 1.0,
    seed: int = 0,
) -> Votes:
    """Images and drawn votes of simulated galaxies.

    Args:
        data: a file that `galaxylib simulate` drew.
        rows: which galaxies; their row is their id.
        volunteers: number of volunteers who vote on each galaxy.
        distance: how many times farther away the galaxies are seen than they were drawn; see `receded`.
        seed: start of the votes' random numbers.

    Raises:
        DataError: the file holds no true parameters.
        GalaxyError: the distance is below 1.
    """
    if distance < 1:
        raise GalaxyError(f"The distance is {distance}: galaxies can only be put farther away, from 1 up.")
    if data.truth is None or not set(NEEDED) <= set(data.truth):
        raise DataError(
            f"{data.path} holds no true parameters to draw votes from: give a file that `galaxylib simulate` "
            "made, or real votes."
        )
    rows = np.asarray(rows, dtype=np.int64)
    truth = data.truth.iloc[rows].reset_index(drop=True)
    names = np.array(CLASS_NAMES)[data.labels[rows]]
    chances = vote_chances(truth.assign(half_light_radius=truth["half_light_radius"] / distance), names)
    fractions = cast(chances, volunteers=volunteers, seed=seed)
    images = np.empty((len(rows), WIDE, WIDE, 3), np.uint8)
    sides = sides_shown(truth["half_light_radius"].fillna(4.0).to_numpy(), pixel=np.nanmedian(data.pxscale))
    for start in range(0, len(rows), 256):
        block = slice(start, start + 256)
        for place, pixels in enumerate(data.read(rows[block]), start=start):
            images[place] = scaled(pixels, int(sides[place]))
    if distance > 1:
        blurs = truth["psf_fwhm"].to_numpy() / 2.355 / (sides * np.nanmedian(data.pxscale) / WIDE)
        images = receded(images, blurs, distance=distance, seed=seed)
    return Votes(rows, fractions.astype(np.float32), images, simulated=True)


def sides_shown(radii: np.ndarray, *, pixel: float) -> np.ndarray:
    """Pixels of the stored image that are shown: as much as Galaxy Zoo would, and as the image has.

    Args:
        radii: (N,) half-light radii of the galaxies, arcsec.
        pixel: side of one, arcsec.

    Returns:
        (N,) even numbers from 80 to 256.
    """
    return np.clip(FIELD * np.asarray(radii) / pixel, WIDE, 256) // 2 * 2


def scaled(pixels: np.ndarray, side: int) -> np.ndarray:
    """The central `side` pixels of an image, as WIDE x WIDE: (H, W, 3) uint8 -> (WIDE, WIDE, 3) uint8."""
    edge = (pixels.shape[0] - side) // 2
    centre = Image.fromarray(pixels[edge : edge + side, edge : edge + side])
    return np.asarray(centre.resize((WIDE, WIDE), Image.Resampling.BICUBIC))


def receded(images: np.ndarray, blurs: np.ndarray, *, distance: float, seed: int) -> np.ndarray:
    """The same galaxies seen from farther away, on images that are scaled to the galaxy as before.

    The galaxy fills the frame as it did, so the atmosphere's blur grows with the distance and the camera's
    pixels with it; a pixel's noise stays what it was. Dimming and reddening by the redshift are left out.

    Args:
        images: (N, H, W, 3) uint8.
        blurs: (N,) deviation of each image's point-spread function, in its pixels.
        distance: factor on the distance, above 1.
        seed: start of the noise's random numbers.
    """
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(seed)
    size = images.shape[1]
    coarse = max(8, round(size / distance))
    seen = np.empty_like(images)
    for row, (image, blur) in enumerate(zip(images.astype(np.float32), blurs, strict=True)):
        # Neighbours differ by the noise, where there is sky.
        noise = float(np.median(np.abs(np.diff(image, axis=1)))) / 0.954
        wide = gaussian_filter(image, (blur * np.sqrt(distance**2 - 1),) * 2 + (0,))
        bands = [
            Image.fromarray(band).resize((coarse, coarse), Image.Resampling.BOX)
            for band in np.moveaxis(wide, 2, 0)
        ]
        noisy = [np.asarray(band) + generator.normal(0, noise, (coarse, coarse)) for band in bands]
        back = [
            Image.fromarray(band.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
            for band in noisy
        ]
        seen[row] = np.clip(np.round(np.stack([np.asarray(band) for band in back], axis=2)), 0, 255)
    return seen


def vote_chances(truth: pd.DataFrame, names: np.ndarray) -> dict[int, np.ndarray]:
    """How likely each answer is, for a volunteer who is asked the question.

    Args:
        truth: true parameters, one row a galaxy; NaN where a galaxy has no such part.
        names: (N,) class of each, for what no parameter tells: whether it is disturbed.

    Returns:
        question number -> (N, answers), rows summing to 1.
    """
    value = {name: truth[name].to_numpy(dtype=float) for name in NEEDED}
    known = {name: np.nan_to_num(column) for name, column in value.items()}
    spiral = np.isfinite(value["arm_count"])
    edge_on = ~spiral & (known["inclination"] == 90)
    merger = np.isfinite(value["bodies"])
    disturbed = names == "Disturbed"
    ratio = np.where(np.isfinite(value["axis_ratio"]), value["axis_ratio"], 0.6)
    # Fine structure shows when the galaxy is wide beside the blur.
    seen = _step(known["half_light_radius"] / known["psf_fwhm"], 2.2, 0.7)

    features = 0.07 + 0.0 * ratio
    features = np.where(spiral, 0.1 + 0.85 * seen * _step(known["arm_strength"], 0.22, 0.12), features)
    features = np.where(edge_on, 0.1 + 0.85 * _step(-ratio, -0.28, 0.05), features)
    features = np.where(merger, 0.35, features)
    features = np.where(disturbed & ~spiral, 0.45, features)
    artefact = 0.015 + 0.0 * ratio
    odd = 0.06 + 0.55 * _step(known["asymmetry"], 0.35, 0.08) + 0.25 * (known["shells"] > 0)
    odd = np.maximum(odd + 2.5 * known["tail_fraction"], np.where(merger, 0.8, np.where(disturbed, 0.5, 0.0)))
    odd = np.clip(odd + 0.3 * (known["dust_depth"] > 0.8), 0.03, 0.95)
    bulge, pitch = known["bulge_fraction"], known["arm_pitch"]

    bulging = _step(bulge, 0.12, 0.03)
    weights = {
        1: np.stack([(1 - artefact) * (1 - features), (1 - artefact) * features, artefact], axis=1),
        2: _pair(_step(-np.where(edge_on, ratio, np.maximum(ratio, 0.25)), -0.27, 0.03)),
        3: _pair(_step(known["bar_fraction"], 0.07, 0.025)),
        4: _pair(np.where(spiral, 0.1 + 0.88 * seen * _step(known["arm_strength"], 0.2, 0.1), 0.12)),
        5: _ordered(np.sqrt(bulge), borders=(0.17, 0.40, 0.65), softness=0.07),
        6: _pair(odd),
        7: _ordered(-ratio, borders=(-0.78, -0.48), softness=0.04),
        8: np.stack(
            [
                0.10 + 0.25 * spiral,
                0.03 + 0.15 * (known["shells"] > 0),
                0.10 + 1.5 * disturbed + 0.3 * merger,
                0.25 + 0.5 * (disturbed & spiral),
                0.20 + 0.0 * ratio,
                0.08 + 4.0 * merger,
                0.03 + 1.5 * (known["dust_depth"] > 0.5),
            ],
            axis=1,
        ),
        9: np.stack([0.88 * bulging, 0.06 + 0.0 * bulging, 1 - bulging], axis=1),
        10: _ordered(pitch, borders=(15.0, 24.0), softness=2.5),
        11: _arms(known["arm_count"], seen),
    }  # fmt: skip
    return {number: weight / weight.sum(axis=1, keepdims=True) for number, weight in weights.items()}


def _step(x: np.ndarray, border: float, softness: float) -> np.ndarray:
    """A soft step from 0 to 1 at `border`."""
    return 1 / (1 + np.exp(-np.clip((x - border) / softness, -40, 40)))


def _pair(yes: np.ndarray) -> np.ndarray:
    return np.stack([yes, 1 - yes], axis=1)


def _ordered(x: np.ndarray, *, borders: Sequence[float], softness: float) -> np.ndarray:
    """Probabilities of neighbouring answers along one axis, divided by soft borders."""
    above = [np.ones_like(x), *(_step(x, border, softness) for border in borders), np.zeros_like(x)]
    return np.stack([upper - lower for upper, lower in pairwise(above)], axis=1) + 1e-6


def _arms(count: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Probabilities of 1, 2, 3, 4, more, and can't tell: near the truth, the nearer the better they show."""
    numbers = np.arange(1, 6)
    told = np.exp(-np.abs(numbers - np.clip(count, 0, 5)[:, None]) * (0.7 + 1.6 * seen[:, None]))
    told /= told.sum(axis=1, keepdims=True)
    unsure = np.where(count > 0, 0.55 - 0.45 * seen, 0.6)[:, None]
    return np.concatenate([told * (1 - unsure), unsure], axis=1)


def cast(chances: dict[int, np.ndarray], *, volunteers: int, seed: int) -> np.ndarray:
    """Let volunteers walk down the tree: (N, 37) fractions, cumulative, in steps of 1 / volunteers."""
    generator = np.random.default_rng(seed)
    count = len(chances[TREE[0].number])
    votes = np.zeros((count, len(ANSWERS)), dtype=np.int64)
    for question in from_the_root():
        asked = np.full(count, volunteers) if question.parent is None else votes[:, PLACES[question.parent]]
        votes[:, places(question)] = generator.multinomial(asked, chances[question.number])
    return votes / volunteers
